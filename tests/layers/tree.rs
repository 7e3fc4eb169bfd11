//! The modules of the crate, and where a path leads.

use std::collections::HashMap;

use crate::source::{Module, Source};

/// How often a path may lead on through imports.
const HOPS: usize = 16;

/// Where a path leads.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// Out of the crate; with imports put in.
    Foreign(Vec<String>),
    /// To a file, and in it to a module.
    File { file: usize, module: Vec<String> },
}

/// All files but those of tests.
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    /// By its path, a module's file and its place there.
    modules: HashMap<Vec<String>, (usize, usize)>,
}

impl Tree {
    pub(crate) fn new(mut sources: Vec<Source>) -> Self {
        let tests: Vec<Vec<String>> = sources.iter().flat_map(|source| source.tests.clone()).collect();
        sources.retain(|source| !tests.iter().any(|test| source.modules[0].path.starts_with(test)));
        let mut modules = HashMap::new();
        for (file, source) in sources.iter().enumerate() {
            modules.extend(source.modules.iter().enumerate().map(|(at, module)| (module.path.clone(), (file, at))));
        }
        Self { sources, modules }
    }

    /// Follows a path that stands in a module.
    pub(crate) fn resolve(&self, module: &[String], path: &[String]) -> Target {
        self.follow(module, path, HOPS).unwrap_or_else(|| Target::Foreign(path.to_vec()))
    }

    fn module(&self, path: &[String]) -> Option<&Module> {
        self.modules.get(path).map(|(file, at)| &self.sources[*file].modules[*at])
    }

    fn has(&self, module: &[String], name: &str) -> bool {
        self.modules.contains_key(&joined(module, name))
    }

    fn follow(&self, module: &[String], path: &[String], hops: usize) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => return self.descend(&[], rest, hops),
            "self" => return self.descend(module, rest, hops),
            "super" => {
                let parents = path.iter().take_while(|segment| *segment == "super").count();
                let parent = &module[..module.len().checked_sub(parents)?];
                return self.descend(parent, &path[parents..], hops);
            }
            _ => {}
        }
        if self.has(module, first) {
            return self.descend(module, path, hops);
        }
        let scope = self.module(module)?;
        // `use http;` and `use rocket::rocket;` bind a name that stands for the crate in their own path.
        if let Some(import) = scope.imports.get(first)
            && import.first() != Some(first)
        {
            return self.follow(module, &[import, rest].concat(), hops);
        }
        if let Some(import) = scope.imports.get(first) {
            return Some(Target::Foreign([import, rest].concat()));
        }
        if scope.items.contains(first) {
            return self.file(module);
        }
        Some(self.through_globs(module, path, hops).unwrap_or_else(|| Target::Foreign(path.to_vec())))
    }

    /// Follows a path down from a module.
    fn descend(&self, module: &[String], path: &[String], hops: usize) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return self.file(module) };
        if self.has(module, first) {
            return self.descend(&joined(module, first), rest, hops);
        }
        let scope = self.module(module)?;
        if scope.items.contains(first) {
            return self.file(module);
        }
        if let Some(import) = scope.imports.get(first) {
            return self.follow(module, &[import, rest].concat(), hops);
        }
        // A name that a macro makes stands where it was looked for.
        self.through_globs(module, path, hops).or_else(|| self.file(module))
    }

    fn through_globs(&self, module: &[String], path: &[String], hops: usize) -> Option<Target> {
        let globs = &self.module(module)?.globs;
        globs.iter().find_map(|glob| {
            let Some(Target::File { module: into, .. }) = self.follow(module, glob, hops) else { return None };
            let scope = self.module(&into)?;
            let known = self.has(&into, &path[0]) || scope.items.contains(&path[0]);
            let known = known || scope.imports.contains_key(&path[0]);
            known.then(|| self.descend(&into, path, hops)).flatten()
        })
    }

    fn file(&self, module: &[String]) -> Option<Target> {
        let (file, _) = self.modules.get(module)?;
        Some(Target::File { file: *file, module: module.to_vec() })
    }
}

fn joined(module: &[String], name: &str) -> Vec<String> {
    [module, &[name.to_owned()]].concat()
}
