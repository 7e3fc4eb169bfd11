//! Walks the syntax of a file and notes what it names.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::cfg::{TEST, TESTING, attributes, borne, needs};
use crate::scan::Scan;
use crate::source::{Kind, Module, Name, Source};

pub(crate) fn line(span: Span) -> usize {
    span.start().line
}

/// The name that an item brings into its module.
fn name(item: &syn::Item) -> Option<&syn::Ident> {
    Some(match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::TraitAlias(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    })
}

fn texts(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

pub(crate) struct Reader {
    source: Source,
    /// The modules around the current item, as indices; the last one is the innermost.
    at: Vec<usize>,
    testing: bool,
}

impl Reader {
    pub(crate) fn read(source: Source, file: &syn::File) -> Source {
        let mut reader = Self { source, at: vec![0], testing: false };
        reader.visit_file(file);
        reader.source
    }

    fn module(&mut self) -> &mut Module {
        let at = self.at[self.at.len() - 1];
        &mut self.source.modules[at]
    }

    fn name(&mut self, segments: Vec<String>, span: Span, kind: Kind) {
        let (module, testing) = (self.module().path.clone(), self.testing);
        self.source.names.push(Name { segments, line: line(span), kind, module, testing });
    }

    /// Reads on, unless only tests build this; its lines count then as a test's.
    fn unless_test(&mut self, attributes: &[syn::Attribute], span: Span, read: impl FnOnce(&mut Self)) {
        if needs(attributes, TEST) {
            self.source.lines -= span.end().line + 1 - span.start().line;
            return;
        }
        let before = self.testing;
        self.testing |= needs(attributes, TESTING);
        read(self);
        self.testing = before;
    }

    fn import(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>, kind: Kind) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix, kind);
                prefix.pop();
            }
            syn::UseTree::Name(name) => self.bind(prefix, &name.ident, &name.ident, kind),
            syn::UseTree::Rename(rename) => self.bind(prefix, &rename.ident, &rename.rename, kind),
            syn::UseTree::Glob(glob) => {
                self.module().globs.push(prefix.clone());
                self.name(prefix.clone(), glob.span(), kind);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, prefix, kind)),
        }
    }

    fn bind(&mut self, prefix: &[String], name: &syn::Ident, bound: &syn::Ident, kind: Kind) {
        let mut path = prefix.to_vec();
        if name != "self" {
            path.push(name.to_string());
        }
        let bound = if bound == "self" { path[path.len() - 1].clone() } else { bound.to_string() };
        self.module().imports.insert(bound, path.clone());
        self.name(path, name.span(), kind);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if let syn::Item::Mod(module) = item {
            let mut path = self.module().path.clone();
            path.push(module.ident.to_string());
            if needs(&module.attrs, TEST) {
                self.source.tests.push(path);
            } else if module.content.is_some() {
                self.source.modules.push(Module { path, ..Module::default() });
                self.at.push(self.source.modules.len() - 1);
                self.unless_test(&module.attrs, item.span(), |reader| visit::visit_item(reader, item));
                self.at.pop();
                return;
            }
        }
        self.unless_test(attributes(item), item.span(), |reader| {
            if let Some(name) = name(item) {
                reader.module().items.insert(name.to_string());
            }
            visit::visit_item(reader, item);
        });
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = borne!(item, ImplItem: Const Fn Type Macro);
        self.unless_test(attributes, item.span(), |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_trait_item(&mut self, item: &'ast syn::TraitItem) {
        let attributes = borne!(item, TraitItem: Const Fn Type Macro);
        self.unless_test(attributes, item.span(), |reader| visit::visit_trait_item(reader, item));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.unless_test(&field.attrs, field.span(), |reader| visit::visit_field(reader, field));
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        self.unless_test(&field.attrs, field.span(), |reader| visit::visit_field_value(reader, field));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.unless_test(&variant.attrs, variant.span(), |reader| visit::visit_variant(reader, variant));
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.unless_test(&arm.attrs, arm.span(), |reader| visit::visit_arm(reader, arm));
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        let attributes = borne!(statement, Stmt: Local Macro);
        self.unless_test(attributes, statement.span(), |reader| visit::visit_stmt(reader, statement));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let private = matches!(item.vis, syn::Visibility::Inherited);
        let kind = if private { Kind::Import } else { Kind::Reexport };
        self.import(&item.tree, &mut Vec::new(), kind);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.name(vec![item.ident.to_string()], item.span(), Kind::Import);
    }

    /// `pub(crate)` and `pub(super)` name no module.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.name(texts(path), path.span(), Kind::Inline);
        }
        visit::visit_path(self, path);
    }

    /// `<Utc>::now()` is `Utc::now()`.
    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        if let Some(of) = &path.qself
            && let syn::Type::Path(of_type) = &*of.ty
            && of.position == 0
        {
            let segments = [texts(&of_type.path), texts(&path.path)].concat();
            self.name(segments, path.span(), Kind::Inline);
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.source.waits.extend(signature.asyncness.as_ref().map(|word| (line(word.span), "async")));
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.source.waits.push((line(block.async_token.span), "async"));
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.source.waits.extend(closure.asyncness.as_ref().map(|word| (line(word.span), "async")));
        visit::visit_expr_closure(self, closure);
    }

    fn visit_expr_await(&mut self, wait: &'ast syn::ExprAwait) {
        self.source.waits.push((line(wait.await_token.span), ".await"));
        visit::visit_expr_await(self, wait);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.source.methods.push((line(call.method.span()), call.method.to_string()));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        // A path in a text: `#[serde(with = "crate::config::duration")]`.
        if let syn::Meta::List(list) = &attribute.meta
            && list.path.is_ident("serde")
        {
            for token in list.tokens.clone() {
                if let TokenTree::Literal(literal) = token
                    && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    && let Ok(path) = text.parse::<syn::Path>()
                    && path.segments.len() > 1
                {
                    self.name(texts(&path), literal.span(), Kind::Inline);
                }
            }
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        let found = Scan::of(tokens.clone());
        found.paths.into_iter().for_each(|(path, span)| self.name(path, span, Kind::Inline));
        self.source.methods.extend(found.methods.into_iter().map(|(name, span)| (line(span), name)));
        self.source.waits.extend(found.waits.into_iter().map(|(word, span)| (line(span), word)));
    }
}
