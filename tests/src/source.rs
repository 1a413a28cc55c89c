//! Access to the project's own sources.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace holds this crate").to_owned()
}

/// One row of the route table in `db/src/doors/http/routes.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// HTTP method.
    pub method: String,
    /// Path, with parameters in braces.
    pub path: String,
    /// `Open`, `User(…)` or `Node`.
    pub access: String,
    /// `Leader`, `Depends(…)` or `Here(…)`.
    pub place: String,
}

impl Route {
    /// Whether a call `method target` reaches this route.
    pub fn serves(&self, call: &str) -> bool {
        let Some((method, target)) = call.split_once(' ') else { return false };
        let path = target.split('?').next().unwrap_or_default();
        let same = |(mine, theirs): (&str, &str)| mine.starts_with('{') || mine == theirs;
        method == self.method
            && path.split('/').count() == self.path.split('/').count()
            && self.path.split('/').zip(path.split('/')).all(same)
    }

    /// A call to this route with a value for each parameter.
    pub fn example(&self) -> String {
        let parts = self.path.split('/');
        let filled: Vec<_> =
            parts.map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        filled.join("/")
    }
}

/// The route table.
///
/// # Panics
/// If it cannot be read.
pub fn routes() -> Vec<Route> {
    let text = std::fs::read_to_string(root().join("db/src/doors/http/routes.rs"))
        .expect("the route table");
    let table = text.split("routes! {").nth(1).and_then(|rest| rest.split("};").next());
    let rows = table.expect("the table").lines().map(str::trim);
    let routes: Vec<_> = rows.filter(|row| !row.starts_with("//")).filter_map(parse_row).collect();
    assert!(routes.len() > 30, "the route table could not be parsed: {routes:?}");
    routes
}

fn parse_row(row: &str) -> Option<Route> {
    let (method, rest) = row.split_once('"')?;
    let (path, rest) = rest.split_once('"')?;
    let mut columns = rest.split(',').map(|column| column.trim().to_owned());
    let (access, place) = (columns.next()?, columns.next()?);
    Some(Route { method: method.trim().to_owned(), path: path.to_owned(), access, place })
}

/// All Rust files below a directory, with their contents.
///
/// # Panics
/// If one cannot be read.
pub fn rust_files(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            files.push((path, text));
        }
    }
    files.sort();
    files
}
