// Runs before the first paint, so that a chosen theme never flashes. Without a choice the
// style sheet follows the system.
try {
  const theme = localStorage.getItem('jettra-theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: follow the system.
}
