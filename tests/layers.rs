//! The layers of `src/`: each knows only its own world. Paths are looked for, not only `use` lines; comments, strings and
//! tests are not.

use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file, docs included and tests not.
const MOST_LINES: usize = 350;

const GLUE: [&str; 7] = ["session", "guard", "flush", "fairing", "sessions", "response", "testing"];
const CORE: [&str; 5] = ["id", "ops", "state", "plan", "codec"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    Core,
    Store,
    Transport,
    Leaf,
    Glue,
}

impl Layer {
    /// The layer of a file, by its path below `src`.
    fn of(file: &str) -> Option<Self> {
        let module = file.trim_end_matches(".rs").split('/').next()?;
        match module {
            "store" => Some(Self::Store),
            "cookie" => Some(Self::Transport),
            "config" | "error" => Some(Self::Leaf),
            "lib" => Some(Self::Glue),
            _ if CORE.contains(&module) => Some(Self::Core),
            _ if GLUE.contains(&module) => Some(Self::Glue),
            _ => None,
        }
    }

    /// Words that no path of this layer has, and a `*` for all that begin so.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Core => {
                &["rocket", "rocket_*", "aws_*", "tokio", "tokio_*", "dynoxide", "http", "SystemTime", "async"]
            }
            Self::Store => &["rocket", "rocket_*", "SystemTime"],
            Self::Transport => &["aws_*", "dynoxide", "SystemTime"],
            Self::Leaf => &["rocket", "rocket_*", "aws_*", "tokio", "tokio_*", "dynoxide", "SystemTime"],
            Self::Glue => &["SystemTime"],
        }
    }

    /// Clocks that this layer does not read.
    fn clocks(self) -> &'static [&'static str] {
        match self {
            // The store measures how long a request to DynamoDB takes; what time it is, it is told.
            Self::Store | Self::Transport | Self::Glue => &["Utc", "Local"],
            Self::Core | Self::Leaf => &["Utc", "Local", "Instant"],
        }
    }

    /// Modules of the crate that this layer does not know.
    fn modules(self) -> Vec<&'static str> {
        let others: &[&str] = match self {
            Self::Core => &["store", "cookie", "config"],
            Self::Store => &["cookie"],
            Self::Transport => &["store", "state", "plan", "ops", "codec"],
            Self::Leaf => &["store", "cookie", "id", "ops", "state", "plan", "codec"],
            Self::Glue => return Vec::new(),
        };
        [&GLUE, others].concat()
    }
}

/// What breaks the table of layers in a file.
fn violations(file: &str, source: &str) -> Vec<String> {
    let Some(layer) = Layer::of(file) else { return vec![format!("{file}: of no layer")] };
    let code = without_tests(tokens(source));
    let mut found = Vec::new();
    let mut report = |line: usize, what: &str| found.push(format!("{file}:{line}: {what} in {layer:?}"));
    let modules = layer.modules();
    for (at, (word, line)) in code.iter().enumerate() {
        let text = |n: usize| code.get(at + n).map_or("", |(word, _)| word.as_str());
        if layer.words().iter().any(|banned| is(banned, word)) {
            report(*line, word);
        }
        if text(1) == "::" && text(2) == "now" && layer.clocks().contains(&word.as_str()) && file != "fairing.rs" {
            report(*line, &format!("{word}::now"));
        }
        // In a file next to lib.rs, `super` is the crate.
        let root = word == "crate" || (word == "super" && !file.contains('/'));
        if root && text(1) == "::" {
            for module in heads(&code[at + 2..]).into_iter().filter(|module| modules.contains(module)) {
                report(*line, &format!("crate::{module}"));
            }
        }
        if word == "." && text(1) == "unwrap" && text(2) == "(" {
            report(*line, ".unwrap()");
        }
    }
    found
}

fn is(banned: &str, word: &str) -> bool {
    banned.strip_suffix('*').map_or(banned == word, |start| word.starts_with(start))
}

/// The first words of a path, or of each branch of `{a, b::c}`.
fn heads(code: &[(String, usize)]) -> Vec<&str> {
    let mut words = code.iter().map(|(word, _)| word.as_str());
    let Some(first) = words.next() else { return Vec::new() };
    if first != "{" {
        return vec![first];
    }
    let (mut depth, mut before, mut heads) = (1, "{", Vec::new());
    for word in words {
        match word {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && (before == "{" || before == ",") => heads.push(word),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        before = word;
    }
    heads
}

/// Splits Rust into words, `::` and single signs, each with its line; comments, strings and characters are left out.
fn tokens(source: &str) -> Vec<(String, usize)> {
    let text: Vec<char> = source.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => comment(rest),
            ['"', ..] => string(rest),
            ['b' | 'c', '"', ..] => 1 + string(&rest[1..]),
            ['r', '"' | '#', ..] if raw(rest).is_some() => raw(rest).unwrap_or(1),
            ['b' | 'c', 'r', '"' | '#', ..] if raw(&rest[1..]).is_some() => 1 + raw(&rest[1..]).unwrap_or(0),
            ['\'', '\\', ..] => 3 + rest[3..].iter().position(|c| *c == '\'').unwrap_or(0),
            ['\'', _, '\'', ..] => 3,
            [':', ':', ..] => {
                tokens.push(("::".to_owned(), line));
                2
            }
            [first, ..] if is_word(*first) => {
                let word: String = rest.iter().take_while(|c| is_word(**c)).collect();
                let length = word.chars().count();
                tokens.push((word, line));
                length
            }
            [first, ..] => {
                if !first.is_whitespace() {
                    tokens.push((first.to_string(), line));
                }
                1
            }
            [] => 1,
        };
        let end = (at + length).min(text.len());
        line += text[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a block comment; they nest.
fn comment(text: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &[char]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of `r"…"` or `r#"…"#`; none where it is a raw identifier.
fn raw(text: &[char]) -> Option<usize> {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    (text.get(1 + hashes) == Some(&'"')).then_some(())?;
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = 2 + hashes;
    text[body..].windows(end.len()).position(|window| window == end).map(|at| body + at + end.len())
}

/// Leaves out what stands behind `#[cfg(test)]`, to the end of its block or line.
fn without_tests(code: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < code.len() {
        if code[at..].len() < mark.len() || code[at..].iter().zip(mark).any(|((word, _), expected)| word != expected) {
            kept.push(code[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        for (word, _) in &code[at..] {
            at += 1;
            match word.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => continue,
            }
            if depth == 0 && word == "}" {
                break;
            }
        }
    }
    kept
}

/// All files of `src`, but for those of tests: the path below `src` and the text.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => walk(&path, files),
                false if path.file_name().is_some_and(|name| name == "tests.rs") => {}
                false => files.push(path),
            }
        }
    }

    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    files.sort();
    let below = |path: &Path| path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (below(path), fs::read_to_string(path).expect("a text"))).collect()
}

#[test]
fn no_file_knows_more_than_its_layer() {
    let sources = sources();
    assert!(sources.len() > 30 && sources.iter().any(|(file, _)| file == "store/write.rs"), "the sources are there");
    let found: Vec<String> = sources.iter().flat_map(|(file, text)| violations(file, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_the_fairing_and_the_testing_module_name_the_clock() {
    let names = |text: &str| tokens(text).windows(3).any(|words| words[0].0 == "Utc" && words[2].0 == "now");
    let files: Vec<String> = sources().into_iter().filter(|(_, text)| names(text)).map(|(file, _)| file).collect();
    let allowed = |file: &String| file == "fairing.rs" || file.starts_with("testing");
    assert!(files.iter().any(|file| file == "fairing.rs") && files.iter().all(allowed), "{files:?}");
}

#[test]
fn no_file_is_longer_than_350_lines_without_its_tests() {
    let lines = |text: &str| text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    let long = sources().into_iter().map(|(file, text)| (lines(&text), file)).filter(|(lines, _)| *lines > MOST_LINES);
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn a_planted_violation_is_caught() {
    let planted = [
        ("plan.rs", "fn f() { let now = chrono::Utc::now(); }", "plan.rs:1: Utc::now in Core"),
        (
            "plan.rs",
            "\nuse std::time::{Duration,\nInstant}; fn f() { Instant::now() }",
            "plan.rs:3: Instant::now in Core",
        ),
        ("state.rs", "fn f() -> aws_sdk_dynamodb::Client {}", "state.rs:1: aws_sdk_dynamodb in Core"),
        ("state.rs", "async fn f() {}", "state.rs:1: async in Core"),
        ("id.rs", "fn f(_: http::Uri) {}", "id.rs:1: http in Core"),
        ("ops.rs", "fn f(_: &tokio::sync::Mutex<()>) {}", "ops.rs:1: tokio in Core"),
        ("codec.rs", "use crate::store::row::Item;", "codec.rs:1: crate::store in Core"),
        ("codec.rs", "use super::store::row::Item;", "codec.rs:1: crate::store in Core"),
        ("codec.rs", "use crate::{ops::{Data, Op}, sessions::Shared};", "codec.rs:1: crate::sessions in Core"),
        ("store/row.rs", "fn f() { rocket::tokio::spawn(g()); }", "store/row.rs:1: rocket in Store"),
        ("store.rs", "fn f() { SystemTime::now(); }", "store.rs:1: SystemTime in Store"),
        ("store.rs", "fn f(_: crate::guard::Slot) {}", "store.rs:1: crate::guard in Store"),
        ("cookie.rs", "use crate::store::Store;", "cookie.rs:1: crate::store in Transport"),
        ("cookie.rs", "use aws_sdk_dynamodb as d;", "cookie.rs:1: aws_sdk_dynamodb in Transport"),
        ("config/check.rs", "fn f(_: rocket::http::Status) {}", "config/check.rs:1: rocket in Leaf"),
        ("error.rs", "fn f() { x().unwrap(); }", "error.rs:1: .unwrap() in Leaf"),
        ("session.rs", "fn f() { Utc::now(); }", "session.rs:1: Utc::now in Glue"),
        ("surprise.rs", "", "surprise.rs: of no layer"),
    ];
    for (file, source, expected) in planted {
        assert_eq!(violations(file, source), [expected], "{source}");
    }
}

#[test]
fn comments_strings_and_tests_are_no_violation() {
    let innocent = r###"
        //! rocket::http, Utc::now()
        /* tokio:: /* SystemTime */ aws_config */
        fn f<'a>(c: &'a str) -> char {
            let quoted = "rocket \" tokio::"; let raw = r#"aws_ " http::"#; let bytes = b"async";
            if c == quoted { '"' } else { '\'' }
        }
        #[cfg(test)]
        mod tests;
        #[cfg(test)]
        mod others { fn g() { x().unwrap(); rocket::build(); { Utc::now() } } }
    "###;
    assert_eq!(violations("plan.rs", innocent), [""; 0]);
    let after = format!("{innocent} fn g() {{ rocket::build(); }}");
    assert_eq!(violations("plan.rs", &after), ["plan.rs:12: rocket in Core"]);
}
