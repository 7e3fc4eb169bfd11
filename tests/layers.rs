//! The stair of `src/`: web → operator → session → store → domain → leaves. Nothing names what stands above it, each wing
//! knows only its own world, no files form a circle, and the clock is read in its place.
//!
//! Paths are followed, through imports and re-exports, to the file that defines what they name; comments, texts and tests
//! are no paths.

#[path = "layers/cfg.rs"]
mod cfg;
#[path = "layers/check.rs"]
mod check;
#[path = "layers/house.rs"]
mod house;
#[path = "layers/planted.rs"]
mod planted;
#[path = "layers/reader.rs"]
mod reader;
#[path = "layers/scan.rs"]
mod scan;
#[path = "layers/source.rs"]
mod source;
#[path = "layers/tree.rs"]
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use crate::check::violations;

/// All files below a folder: the path from there and the text.
fn files(folder: &Path) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => walk(&path, files),
                false => files.push(path),
            }
        }
    }

    let mut files = Vec::new();
    walk(folder, &mut files);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    let below = |path: &Path| path.strip_prefix(folder).expect("below").to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (below(path), fs::read_to_string(path).expect("a text"))).collect()
}

#[test]
fn the_house_stands() {
    let sources = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let found = violations(&sources);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
    for wing in ["web", "operator", "session", "store", "domain", "config", "testing"] {
        let within = |file: &str| file == format!("{wing}.rs") || file.starts_with(&format!("{wing}/"));
        assert!(sources.iter().any(|(file, _)| within(file)), "the wing {wing} is there");
    }
}
