//! Sections that nobody reads: misspelt, or written where Rocket takes them for something else.

use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};

use super::extract::ROOT;
use super::variable::keys;

/// Profiles that applications have without a word of theirs.
const PROFILES: [&str; 4] = ["default", "global", "debug", "release"];

/// What is written in vain, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It can mean nothing else: the launch is to be aborted.
    Error(String),
    /// It may be somebody else's.
    Warning(String),
}

/// Looks for sections that were meant for the sessions.
pub(crate) fn unread(figment: &Figment) -> Vec<Unread> {
    // What cannot be read at all is told where the configuration is extracted.
    let Ok(profiles) = figment.data() else { return Vec::new() };
    let (selected, keys) = (figment.profile(), keys());
    let ours = |table: &Dict| table.keys().any(|key| keys.contains(key));
    let mut unread = Vec::new();
    for (profile, table) in &profiles {
        let place = |value: Option<&Value>| place(figment, value);
        if profile != selected && profile == ROOT && !table.is_empty() {
            unread.push(Unread::Error(format!(
                "Rocket takes [{ROOT}] in {} for a profile of that name, so that nobody reads it; write [default.{ROOT}]",
                place(table.values().next())
            )));
        } else if profile != selected && is_near(profile.as_str().as_str(), ROOT) && ours(table) {
            unread.push(Unread::Warning(format!(
                "nobody reads [{profile}] in {}; write [default.{ROOT}]",
                place(table.values().next())
            )));
        }
        for (key, value) in table {
            let Value::Dict(_, inner) = value else { continue };
            if key != ROOT && is_near(key, ROOT) && ours(inner) {
                unread.push(Unread::Warning(if is_variable(figment, value) {
                    let (key, root) = (key.to_uppercase(), ROOT.to_uppercase());
                    format!("nobody reads the environment variable ROCKET_{key}; write ROCKET_{root}={{…}}")
                } else {
                    format!("nobody reads [{profile}.{key}] in {}; write [{profile}.{ROOT}]", place(Some(value)))
                }));
            }
            if key == ROOT
                && let Some(meant) = meant(profile, selected)
            {
                let place = place(Some(value));
                unread.push(Unread::Warning(format!(
                    "nobody reads [{profile}.{ROOT}] in {place}; write [{meant}.{ROOT}]"
                )));
            }
        }
    }
    unread
}

/// The profile that a misspelt one was meant to be.
fn meant(profile: &Profile, selected: &Profile) -> Option<String> {
    let known = |name: &str| PROFILES.contains(&name) || *selected == name;
    let name = profile.as_str().as_str();
    if known(&name.to_lowercase()) {
        return None;
    }
    let candidates = PROFILES.into_iter().chain([selected.as_str().as_str()]);
    candidates.filter(|known| known.len() > 4).find(|known| is_near(name, known)).map(str::to_owned)
}

fn place(figment: &Figment, value: Option<&Value>) -> String {
    let metadata = value.and_then(|value| figment.get_metadata(value.tag()));
    metadata.map_or_else(|| "the configuration".to_owned(), described)
}

/// How figment calls the place in its errors: `Rocket.toml TOML file`.
pub(crate) fn described(metadata: &figment::Metadata) -> String {
    match &metadata.source {
        Some(source) => format!("{source} {}", metadata.name),
        None => metadata.name.to_string(),
    }
}

fn is_variable(figment: &Figment, value: &Value) -> bool {
    figment.get_metadata(value.tag()).is_some_and(|metadata| metadata.name.contains("environment"))
}

/// Whether two slips of the finger make one name of the other; upper case is none.
fn is_near(name: &str, known: &str) -> bool {
    distance(&name.to_lowercase(), known) <= 2
}

/// The number of letters to be put in, left out, replaced or exchanged with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    #[track_caller]
    fn told(toml: &str) -> Vec<String> {
        let unread = unread(&Figment::from(Toml::string(toml).nested()).select("release"));
        let told = unread.into_iter().map(|unread| match unread {
            Unread::Error(text) => format!("error: {text}"),
            Unread::Warning(text) => text,
        });
        told.map(|text| text.replace(" in TOML source string", "")).collect()
    }

    #[test]
    fn a_section_at_the_top_is_an_error_and_says_where_it_belongs() {
        let said = "error: Rocket takes [sessions] for a profile of that name, so that nobody reads it; write \
                    [default.sessions]";
        for toml in
            ["[sessions]\ntable = 'x'", "[sessions.cookie]\nname = 'x'", "[Sessions]\nttl = 1", "[sessions]\nx = 1"]
        {
            assert_eq!(told(toml), [said], "{toml}");
        }
        assert_eq!(told("[session]\ntable = 'x'"), ["nobody reads [session]; write [default.sessions]"]);
    }

    #[test]
    fn a_misspelt_section_draws_a_warning_where_it_holds_a_key_of_the_sessions() {
        for name in ["session", "sesions", "sesssions", "sessoins", "Sessions", "SESSIONS", "sesion", "session_s"] {
            let said = format!("nobody reads [default.{name}]; write [default.sessions]");
            assert_eq!(told(&format!("[default.{name}]\nttl = 1")), [said]);
        }
        assert_eq!(told("[release.session]\nttl = 1"), ["nobody reads [release.session]; write [release.sessions]"]);
        for toml in [
            "[default.sessions]\nttl = 1",
            "[default.session]\nsecret = 'x'",
            "[default.databases.sessions]\nurl = 'x'",
            "[default]\nsession = 5",
            "[default.limits]\nttl = 1",
            "",
        ] {
            assert_eq!(told(toml), [""; 0], "{toml}");
        }
    }

    #[test]
    fn sessions_of_a_misspelt_profile_draw_a_warning() {
        for (name, meant) in [("relase", "release"), ("deubg", "debug"), ("defualt", "default"), ("globl", "global")] {
            let said = format!("nobody reads [{name}.sessions]; write [{meant}.sessions]");
            assert_eq!(told(&format!("[{name}.sessions]\nttl = 1")), [said]);
        }
        for name in ["staging", "test", "dev", "production", "global", "debug", "DEBUG"] {
            assert_eq!(told(&format!("[{name}.sessions]\nttl = 1")), [""; 0], "{name}");
        }
    }
}
