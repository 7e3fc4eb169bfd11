//! What breaks the stair.

use std::collections::{BTreeMap, VecDeque};

use crate::house::{MOST_LINES, Wing, clock};
use crate::source::{Kind, Name, Source};
use crate::tree::{Target, Tree};

/// A file's edges to others: by the other file, the first line that names it.
type Edges = BTreeMap<usize, usize>;

/// What is wrong with these files, each given by its path below `src` and its text; a line a fault, with file and line.
pub(crate) fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut sources = Vec::new();
    for (file, text) in files {
        match Source::parse(file, text) {
            Ok(source) => sources.push(source),
            Err(error) => found.push(format!("{file}:{}: {error}", error.span().start().line)),
        }
    }
    let tree = Tree::new(sources);
    for source in &tree.sources {
        match Wing::of(&source.file) {
            Some(wing) => found.extend(Check { tree: &tree, source, wing }.run()),
            None => found.push(format!("{}: of no wing", source.file)),
        }
    }
    found.extend(circles(&tree));
    found
}

struct Check<'a> {
    tree: &'a Tree,
    source: &'a Source,
    wing: Wing,
}

impl Check<'_> {
    fn run(&self) -> Vec<String> {
        let Self { source, wing, .. } = self;
        let mut found: Vec<(usize, String)> = Vec::new();
        if *wing == Wing::Root {
            found
                .extend(source.defines.iter().map(|line| (*line, "lib.rs declares and documents, no more".to_owned())));
        }
        if source.lines > MOST_LINES {
            found.push((source.lines, format!("{} lines without tests, at most {MOST_LINES}", source.lines)));
        }
        if wing.is_sync() {
            found.extend(source.waits.iter().map(|(line, word)| (*line, format!("`{word}` in {wing:?}"))));
        }
        for (line, method) in &source.methods {
            if method == "unwrap" || wing.bans_method(method) {
                found.push((*line, format!("`.{method}()` in {wing:?}")));
            }
        }
        for name in &source.names {
            found.extend(self.name(name).map(|what| (name.line, what)));
        }
        found.sort();
        found.dedup();
        found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", source.file)).collect()
    }

    /// What is wrong with a path.
    fn name(&self, name: &Name) -> Option<String> {
        let wing = self.wing;
        let file = match self.tree.resolve(&name.module, &name.segments) {
            Target::File { file, .. } => &self.tree.sources[file].file,
            Target::Foreign(path) => {
                if let Some(clock) = clock(&self.source.file, wing, &path) {
                    return Some(format!("`{clock}` in {wing:?}"));
                }
                let path = wing.bans(&path).then(|| path.join("::"))?;
                return Some(format!("`{path}` in {wing:?}"));
            }
        };
        let above = Wing::of(file).is_some_and(|other| {
            let allowed = other == Wing::Testing && wing == Wing::Web && name.testing;
            other > wing && !allowed
        });
        let path = name.segments.join("::");
        if above {
            Some(format!("`{path}` ({file}) stands above {wing:?}"))
        } else {
            wing.shuns(file).then(|| format!("`{path}` ({file}) in {wing:?}"))
        }
    }
}

/// The files that a file names. `lib.rs` declares all, and a parent may re-export what is below it: those are no edges.
fn edges(tree: &Tree, from: usize) -> Edges {
    let source = &tree.sources[from];
    let mut edges = Edges::new();
    for name in &source.names {
        let Target::File { file, module } = tree.resolve(&name.module, &name.segments) else { continue };
        let below = module.len() > name.module.len() && module.starts_with(&name.module);
        if file != from && !(below && name.kind == Kind::Reexport) {
            edges.entry(file).or_insert(name.line);
        }
    }
    if source.modules[0].path.is_empty() { Edges::new() } else { edges }
}

/// A shortest circle through each file that is in one; of files in several, the first.
fn circles(tree: &Tree) -> Vec<String> {
    let graph: Vec<Edges> = (0..tree.sources.len()).map(|file| edges(tree, file)).collect();
    let mut told = vec![false; graph.len()];
    let mut found = Vec::new();
    for start in 0..graph.len() {
        if told[start] {
            continue;
        }
        let Some(circle) = circle(&graph, start) else { continue };
        circle.iter().for_each(|file| told[*file] = true);
        let step = |at: usize| {
            let (from, to) = (circle[at], circle[(at + 1) % circle.len()]);
            format!("{}:{} names {}", tree.sources[from].file, graph[from][&to], tree.sources[to].file)
        };
        let steps: Vec<String> = (0..circle.len()).map(step).collect();
        found.push(format!("circle: {}", steps.join(", ")));
    }
    found
}

/// The files of a shortest way from a file back to itself.
fn circle(graph: &[Edges], start: usize) -> Option<Vec<usize>> {
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(file) = next.pop_front() {
        for other in graph[file].keys() {
            if *other == start {
                let mut way = vec![file];
                while way[way.len() - 1] != start {
                    way.push(from[&way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(other) {
                from.insert(*other, file);
                next.push_back(*other);
            }
        }
    }
    None
}
