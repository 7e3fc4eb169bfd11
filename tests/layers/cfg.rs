//! Which code is built only for tests, or with the feature `testing`.

/// What `cfg(test)` asks for.
pub(crate) const TEST: &[&str] = &["test"];
/// What the testing module asks for: `cfg(any(test, feature = "testing"))`.
pub(crate) const TESTING: &[&str] = &["test", "testing"];

/// Whether one of the words must be configured for what bears these attributes.
pub(crate) fn needs(attributes: &[syn::Attribute], words: &[&str]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<syn::Meta>().is_ok_and(|meta| asks(&meta, words))
        }
        _ => false,
    })
}

fn asks(meta: &syn::Meta, words: &[&str]) -> bool {
    match meta {
        syn::Meta::Path(path) => words.iter().any(|word| path.is_ident(word)),
        syn::Meta::NameValue(pair) if pair.path.is_ident("feature") => {
            let syn::Expr::Lit(literal) = &pair.value else { return false };
            matches!(&literal.lit, syn::Lit::Str(text) if words.contains(&text.value().as_str()))
        }
        syn::Meta::List(list) => {
            let parser = syn::punctuated::Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated;
            let Ok(inner) = list.parse_args_with(parser) else { return false };
            match () {
                () if list.path.is_ident("all") => inner.iter().any(|meta| asks(meta, words)),
                () if list.path.is_ident("any") => inner.iter().all(|meta| asks(meta, words)),
                () => false,
            }
        }
        syn::Meta::NameValue(_) => false,
    }
}

/// The attributes of a node, by the names of its variants that bear some.
macro_rules! borne {
    ($item:expr, $kind:ident: $($variant:ident)*) => {
        match $item {
            $(syn::$kind::$variant(item) => item.attrs.as_slice(),)*
            _ => &[],
        }
    };
}

pub(crate) fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    borne!(item, Item: Const Enum ExternCrate Fn ForeignMod Impl Macro Mod Static Struct Trait TraitAlias Type
        Union Use)
}

pub(crate) use borne;
