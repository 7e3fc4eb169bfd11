//! The stair: which wing a file belongs to, what each wing does not know, and where the clock is read.

/// The most lines of a file, docs included and tests not.
pub(crate) const MOST_LINES: usize = 350;

/// The files that may ask what time it is.
const CLOCK: [&str; 2] = ["web/fairing.rs", "operator/sessions.rs"];

/// Crates by wing, with a `*` for all that begin so.
const LEAF: [&str; 6] = ["rocket", "rocket_*", "aws_*", "tokio", "tokio_*", "dynoxide"];
const DOMAIN: [&str; 8] = ["rocket", "rocket_*", "aws_*", "tokio", "tokio_*", "dynoxide", "http", "figment"];
const STORE: [&str; 3] = ["rocket", "rocket_*", "figment"];
const SESSION: [&str; 4] = ["rocket", "rocket_*", "aws_*", "dynoxide"];
const OPERATOR: [&str; 4] = ["rocket", "rocket_*", "aws_*", "dynoxide"];
const WEB: [&str; 2] = ["aws_*", "dynoxide"];

/// From the bottom to the top: nothing names what stands above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wing {
    Leaf,
    Domain,
    Store,
    Session,
    Operator,
    Web,
    Testing,
    /// `lib.rs`.
    Root,
}

impl Wing {
    /// The wing of a file, by its path below `src`.
    pub(crate) fn of(file: &str) -> Option<Self> {
        let wing = file.trim_end_matches(".rs").split('/').next()?;
        Some(match wing {
            "config" | "error" => Self::Leaf,
            "domain" => Self::Domain,
            "store" => Self::Store,
            "session" => Self::Session,
            "operator" => Self::Operator,
            "web" => Self::Web,
            "testing" => Self::Testing,
            "lib" => Self::Root,
            _ => return None,
        })
    }

    /// Whether this wing does not know a path of another crate.
    pub(crate) fn bans(self, path: &[String]) -> bool {
        let crates: &[&str] = match self {
            Self::Leaf => &LEAF,
            Self::Domain => &DOMAIN,
            Self::Store => &STORE,
            Self::Session => &SESSION,
            Self::Operator => &OPERATOR,
            Self::Web => &WEB,
            Self::Testing | Self::Root => &[],
        };
        // The fairing manages the client, and takes the application's own.
        let client = path.len() > 1 && path[0] == "aws_sdk_dynamodb" && path[1] == "Client";
        let excepted = client && matches!(self, Self::Web | Self::Operator);
        !excepted && crates.iter().any(|banned| is(banned, &path[0]))
    }

    /// Whether this wing, below `of`, leaves it alone all the same.
    pub(crate) fn shuns(self, file: &str) -> bool {
        self == Self::Store && file.split(['/', '.']).next() == Some("config")
    }

    /// Whether a method is DynamoDB's business, and this wing's not: a call names no path.
    pub(crate) fn bans_method(self, name: &str) -> bool {
        let operations = [
            "get_item",
            "put_item",
            "update_item",
            "delete_item",
            "batch_get_item",
            "batch_write_item",
            "transact_get_items",
            "transact_write_items",
            "execute_statement",
        ];
        !matches!(self, Self::Store | Self::Testing) && operations.contains(&name)
    }

    /// Whether code that waits has no place here.
    pub(crate) fn is_sync(self) -> bool {
        self == Self::Domain
    }
}

fn is(banned: &str, word: &str) -> bool {
    banned.strip_suffix('*').map_or(banned == word, |start| word.starts_with(start))
}

/// The clock that a path reads, if the file has no business with it.
pub(crate) fn clock(file: &str, wing: Wing, path: &[String]) -> Option<&'static str> {
    if wing == Wing::Testing || CLOCK.contains(&file) {
        return None;
    }
    let has = |name: &str| path.iter().any(|segment| segment == name);
    let reads = |clock: &str| path.windows(2).any(|two| two[0] == clock && (two[1] == "now" || two[1] == "today"));
    if reads("Utc") {
        Some("Utc::now")
    } else if reads("Local") || (path[0] == "chrono" && has("Local")) {
        Some("Local")
    } else if reads("SystemTime") {
        // As a type it is what an application is told, and what AWS says of its credentials.
        Some("SystemTime::now")
    } else if has("Instant") && wing != Wing::Store {
        // The store measures how long a request to DynamoDB takes; what time it is, it is told.
        Some("Instant")
    } else {
        None
    }
}
