//! Choices written as one word.

/// Makes an enum whose values are written as one word, in Rocket.toml and in messages.
///
/// Derived, figment would take `same_site = 1` for the second value.
macro_rules! words {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$value_doc])* $value),+ }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$value => $word),+ })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                fn parse(text: &str) -> Option<$name> {
                    match text { $($word => Some($name::$value),)+ _ => None }
                }
                let scalar = crate::config::scalar::Scalar {
                    text: Some(parse),
                    ..crate::config::scalar::Scalar::expecting(crate::config::word::one_of!($($word),+))
                };
                deserializer.deserialize_any(scalar)
            }
        }
    };
}
pub(super) use words;

/// Lists words for an error: ``one of `off`, `warn` ``.
macro_rules! one_of {
    ($first:literal $(, $word:literal)*) => { concat!("one of `", $first, "`" $(, ", `", $word, "`")*) };
}
pub(super) use one_of;

words! {
    /// What follows at launch from a table that does not fit.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::{Config, Verify};
    ///
    /// let config = Config { verify: Verify::Fail, ..Config::default() };
    /// assert_eq!(config.verify.to_string(), "fail");
    /// ```
    pub enum Verify {
        /// `"off"`: nobody looks, which saves two calls at launch.
        Off = "off",
        /// `"warn"`: a warning that says how to mend it.
        Warn = "warn",
        /// `"fail"`: the launch aborts.
        Fail = "fail",
    }
}

words! {
    /// What a guard does while the store is unavailable.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::{Config, OnOutage};
    ///
    /// let config = Config { on_outage: OnOutage::Anonymous, ..Config::default() };
    /// assert_eq!(config.on_outage.to_string(), "anonymous");
    /// ```
    pub enum OnOutage {
        /// `"fail"`: the guard fails with 503, so that no visitor looks signed out who is not.
        Fail = "fail",
        /// `"anonymous"`: the guard succeeds with an empty session that stores nothing.
        Anonymous = "anonymous",
    }
}

words! {
    /// What caches and browsers may do with a response that used the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use rocket_dynamodb_sessions::{CacheControl, Config};
    ///
    /// let config = Config { cache_control: CacheControl::NoStore, ..Config::default() };
    /// assert_eq!(config.cache_control.to_string(), "no-store");
    /// ```
    pub enum CacheControl {
        /// `"private"`: no shared cache keeps it.
        Private = "private",
        /// `"no-store"`: nobody keeps it, the browser's Back button neither.
        NoStore = "no-store",
    }
}

/// Whether rows are read with strongly consistent reads: `true` or `false`.
///
/// # Examples
///
/// ```
/// use rocket_dynamodb_sessions::{Config, ConsistentRead};
///
/// let config = Config { consistent_read: ConsistentRead::Off, ..Config::default() };
/// assert_ne!(config.consistent_read, ConsistentRead::On);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsistentRead {
    /// `true`: each read sees what was written before it.
    On,
    /// `false`: a read may show a row as it was a moment ago, at half the price.
    Off,
}

impl serde::Serialize for ConsistentRead {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self == Self::On)
    }
}

impl<'de> serde::Deserialize<'de> for ConsistentRead {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(crate::config::scalar::Scalar {
            flag: Some(|on| Some(if on { Self::On } else { Self::Off })),
            ..crate::config::scalar::Scalar::expecting("`true` or `false`")
        })
    }
}
