// Runs before the first paint, so the page never flashes in the other theme. Without a choice the
// style sheet follows the system.
try {
  const theme = localStorage.getItem('jettra-theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: follow the system.
}
