//! What a file names: its paths, imports and modules, without its tests.

use std::collections::{HashMap, HashSet};

use syn::spanned::Spanned;

use crate::cfg::{TEST, attributes, needs};
use crate::reader::{Reader, line};

/// How a path is named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// In code.
    Inline,
    /// By `use`.
    Import,
    /// By `pub use`, `pub(crate) use` and the like.
    Reexport,
}

/// A path that a file names.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    /// The module it stands in.
    pub(crate) module: Vec<String>,
    /// It stands in code that only the feature `testing` builds.
    pub(crate) testing: bool,
}

/// A module: a file, or an inline one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) items: HashSet<String>,
    pub(crate) imports: HashMap<String, Vec<String>>,
    pub(crate) globs: Vec<Vec<String>>,
}

/// A file of `src`.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path below `src`.
    pub(crate) file: String,
    /// Its lines, but for those of its tests.
    pub(crate) lines: usize,
    pub(crate) names: Vec<Name>,
    /// The file's own module comes first.
    pub(crate) modules: Vec<Module>,
    /// The modules that only tests build.
    pub(crate) tests: Vec<Vec<String>>,
    /// `async` and `.await`, with their lines.
    pub(crate) waits: Vec<(usize, &'static str)>,
    /// Methods called.
    pub(crate) methods: Vec<(usize, String)>,
    /// Lines of items at the top that are neither a `mod` nor a `use`.
    pub(crate) defines: Vec<usize>,
}

impl Source {
    /// Reads a file; `file` is its path below `src`.
    pub(crate) fn parse(file: &str, text: &str) -> syn::Result<Self> {
        let syntax = syn::parse_file(text)?;
        let mut source = Self {
            file: file.to_owned(),
            lines: text.lines().count(),
            names: Vec::new(),
            modules: vec![Module { path: module(file), ..Module::default() }],
            tests: Vec::new(),
            waits: Vec::new(),
            methods: Vec::new(),
            defines: Vec::new(),
        };
        for item in &syntax.items {
            let declares = matches!(item, syn::Item::Mod(_) | syn::Item::Use(_));
            if !declares && !needs(attributes(item), TEST) {
                source.defines.push(line(item.span()));
            }
        }
        Ok(Reader::read(source, &syntax))
    }
}

/// The module of a file.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}
