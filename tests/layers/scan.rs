//! Paths in the text of a macro or an attribute, which is no syntax yet.

use std::mem;

use proc_macro2::{Span, TokenStream, TokenTree};

/// What a text names.
#[derive(Default)]
pub(crate) struct Scan {
    /// Paths of two segments or more.
    pub(crate) paths: Vec<(Vec<String>, Span)>,
    /// Words behind a dot.
    pub(crate) methods: Vec<(String, Span)>,
    /// `async` and `.await`.
    pub(crate) waits: Vec<(&'static str, Span)>,
}

impl Scan {
    pub(crate) fn of(tokens: TokenStream) -> Self {
        let mut found = Self::default();
        found.read(tokens);
        found
    }

    fn read(&mut self, tokens: TokenStream) {
        let mut path: Vec<(String, Span)> = Vec::new();
        let (mut colons, mut dot) = (0, false);
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push((word.to_string(), word.span()));
                    if word == "async" {
                        self.waits.push(("async", word.span()));
                    }
                    if dot && word == "await" {
                        self.waits.push((".await", word.span()));
                    } else if dot {
                        self.methods.push((word.to_string(), word.span()));
                    }
                    (colons, dot) = (0, false);
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => (colons, dot) = (colons + 1, false),
                other => {
                    self.end(&mut path);
                    (colons, dot) = (0, matches!(&other, TokenTree::Punct(sign) if sign.as_char() == '.'));
                    if let TokenTree::Group(group) = other {
                        self.read(group.stream());
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<(String, Span)>) {
        let path = mem::take(path);
        if let [(_, span), _, ..] = path[..] {
            self.paths.push((path.into_iter().map(|(word, _)| word).collect(), span));
        }
    }
}
