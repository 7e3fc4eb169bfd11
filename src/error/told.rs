//! Causes as text: what an error says of what went wrong below, and nothing of what was in it.
//!
//! The SDK's errors hold the raw response, and with a failed condition the row that stands in the table; serde's quote the
//! value that does not fit. An error is logged, by Rocket also in its `Debug` form, so neither may be in it.

use std::error::Error as StdError;
use std::fmt;

/// What a cause said, with its own cause.
pub(super) struct Told {
    said: String,
    source: Option<Box<Told>>,
}

impl Told {
    /// Takes the texts of an error and of all its causes.
    pub(super) fn by(error: &dyn StdError) -> Self {
        Self { said: error.to_string(), source: error.source().map(|source| Box::new(Self::by(source))) }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// The texts of the whole chain, once.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", super::chain::Chain(self))
    }
}

impl StdError for Told {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_cause_shows_what_it_was_made_of() {
        #[derive(Debug)]
        #[allow(dead_code)]
        struct Raw(&'static str);
        impl fmt::Display for Raw {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("service error")
            }
        }
        impl StdError for Raw {}
        let told = Told::by(&Raw("{\"data\":\"hunter2\"}"));
        assert_eq!((told.to_string(), format!("{told:?}")), ("service error".into(), "service error".into()));
    }
}
