//! The one question and its one function: was it us, and what became of the rest?
//!
//! It is asked of a row before the first write of a repeated commit, after every failed condition, and by a reload; a load
//! asks it without a commit. And the one table that says what a request knows then.

use crate::domain::id::RowKey;

/// Why a tombstone stands in a row's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The session was signed out, revoked, emptied, or replaced by one that nobody signed in to.
    Ended,
    /// It got another ID, with the same privileges.
    Cycle,
    /// It got another ID by a login.
    Login,
}

/// What stands under a row key, its age judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stands {
    /// No row, or one whose time is over.
    Absent,
    Live,
    Tombstone {
        kind: Kind,
        successor: Option<RowKey>,
        expired: bool,
    },
    Undecodable,
}

/// Whether a row lists a commit's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    No,
    Yes,
    /// It is a tombstone, and the token is its writer's.
    Last,
}

/// What a row says of the session's life to a request that asks for nothing of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Live,
    /// The session goes on under this key.
    Led(RowKey),
    Superseded,
    Ended,
    /// A tombstone whose time is over; only an `invalidate` follows it.
    Expired,
    Absent,
    Undecodable,
}

/// What a row means for a commit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Settled {
    /// The row is the tombstone that this commit wrote to end the session.
    OwnEnd,
    /// The row is the tombstone of this commit's own rotation or replacement: its new row says how it went on.
    SeeNewRow,
    Fate {
        /// The commit is stored: never replayed, never counted as dropped.
        stored: bool,
        fate: Fate,
    },
}

/// Says whether a commit is stored in a row that was found, and what became of the session. `new_row`: the commit's write
/// made a new row beside the tombstone.
pub(crate) fn settle(stands: &Stands, listed: Listed, new_row: bool) -> Settled {
    match stands {
        Stands::Tombstone { kind, .. } if listed == Listed::Last => match (kind, new_row) {
            (Kind::Ended, false) => Settled::OwnEnd,
            _ => Settled::SeeNewRow,
        },
        stands => Settled::Fate { stored: listed != Listed::No, fate: fate(stands) },
    }
}

pub(crate) fn fate(stands: &Stands) -> Fate {
    match stands {
        Stands::Absent => Fate::Absent,
        Stands::Live => Fate::Live,
        Stands::Undecodable => Fate::Undecodable,
        Stands::Tombstone { kind: Kind::Ended, expired: true, .. } => Fate::Absent,
        Stands::Tombstone { expired: true, .. } => Fate::Expired,
        Stands::Tombstone { kind: Kind::Cycle, successor: Some(successor), .. } => Fate::Led(successor.clone()),
        Stands::Tombstone { kind: Kind::Login, .. } => Fate::Superseded,
        // A cycle's that names no successor, as another program can have written it, leads nowhere.
        Stands::Tombstone { .. } => Fate::Ended,
    }
}

/// What a request knew of its session before a look at the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing: this is its load.
    Load,
    /// There was a row.
    Row,
    /// The session had ended, or a login had superseded it.
    Over,
    /// This request ended it.
    OwnEnd,
    /// It began at an expired tombstone, as a visitor.
    Trail,
}

/// What a request knows after a look at the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    AsBefore,
    Fresh { trail: bool },
    Live,
    Superseded,
    Gone { trail: bool },
    OwnEnd,
    Undecodable,
}

/// The one table: what once had a row never becomes fresh. `led`: a tombstone led here. A fate of `Led` is settled at the
/// successor, not here; where so many were followed that it is not, the session is gone, to all but an `invalidate`.
pub(crate) fn transition(before: Before, fate: &Fate, led: bool) -> After {
    match (before, fate) {
        (Before::Over, Fate::Live | Fate::Undecodable) => After::AsBefore,
        (Before::OwnEnd, _) => After::OwnEnd,
        (_, Fate::Live) => After::Live,
        (_, Fate::Undecodable) => After::Undecodable,
        (_, Fate::Superseded) => After::Superseded,
        (Before::Load, Fate::Ended | Fate::Absent) if !led => After::Fresh { trail: false },
        (Before::Load | Before::Trail, Fate::Expired) if !led => After::Fresh { trail: true },
        (Before::Trail, Fate::Absent) if !led => After::Fresh { trail: false },
        (_, Fate::Expired | Fate::Led(_)) => After::Gone { trail: true },
        (_, Fate::Ended | Fate::Absent) => After::Gone { trail: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: [Before; 5] = [Before::Load, Before::Row, Before::Over, Before::OwnEnd, Before::Trail];

    fn successor() -> RowKey {
        RowKey::stored("successor")
    }

    fn tombstone(kind: Kind, expired: bool) -> Stands {
        let successor = (kind != Kind::Ended).then(successor);
        Stands::Tombstone { kind, successor, expired }
    }

    #[test]
    fn the_table_of_transitions_is_the_designs() {
        use After::{AsBefore, Fresh, Gone, Live, OwnEnd, Superseded};
        let gone = Gone { trail: false };
        let trail = Gone { trail: true };
        let rows = [
            (Fate::Live, [Live, Live, AsBefore, OwnEnd, Live]),
            (Fate::Superseded, [Superseded, Superseded, Superseded, OwnEnd, Superseded]),
            (Fate::Ended, [Fresh { trail: false }, gone, gone, OwnEnd, gone]),
            (Fate::Expired, [Fresh { trail: true }, trail, trail, OwnEnd, Fresh { trail: true }]),
            (Fate::Absent, [Fresh { trail: false }, gone, gone, OwnEnd, Fresh { trail: false }]),
        ];
        for (fate, after) in rows {
            for (before, after) in BEFORE.into_iter().zip(after) {
                assert_eq!(transition(before, &fate, false), after, "{before:?} {fate:?}");
            }
        }
    }

    #[test]
    fn who_was_led_to_nothing_finds_the_session_gone() {
        for (fate, trail) in [(Fate::Ended, false), (Fate::Absent, false), (Fate::Expired, true)] {
            for before in [Before::Load, Before::Row, Before::Over, Before::Trail] {
                assert_eq!(transition(before, &fate, true), After::Gone { trail }, "{before:?} {fate:?}");
            }
        }
    }

    #[test]
    fn what_once_had_a_row_never_becomes_fresh() {
        for fate in [Fate::Live, Fate::Led(successor()), Fate::Superseded, Fate::Ended, Fate::Expired, Fate::Absent] {
            for led in [false, true] {
                for before in [Before::Row, Before::Over] {
                    assert!(!matches!(transition(before, &fate, led), After::Fresh { .. }), "{before:?} {fate:?}");
                }
            }
        }
    }

    #[test]
    fn the_last_token_of_a_tombstone_says_whose_it_is() {
        for expired in [false, true] {
            for new_row in [false, true] {
                for kind in [Kind::Ended, Kind::Cycle, Kind::Login] {
                    let own = settle(&tombstone(kind, expired), Listed::Last, new_row);
                    let end = kind == Kind::Ended && !new_row;
                    assert_eq!(own, if end { Settled::OwnEnd } else { Settled::SeeNewRow }, "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn that_a_commit_is_stored_does_not_say_that_the_row_still_lives() {
        let cases = [
            (Stands::Live, Fate::Live),
            (tombstone(Kind::Cycle, false), Fate::Led(successor())),
            (tombstone(Kind::Login, false), Fate::Superseded),
            (tombstone(Kind::Ended, false), Fate::Ended),
            (tombstone(Kind::Ended, true), Fate::Absent),
            (tombstone(Kind::Cycle, true), Fate::Expired),
            (tombstone(Kind::Login, true), Fate::Expired),
            (Stands::Tombstone { kind: Kind::Cycle, successor: None, expired: false }, Fate::Ended),
            (Stands::Absent, Fate::Absent),
            (Stands::Undecodable, Fate::Undecodable),
        ];
        for (stands, fate) in cases {
            for (listed, stored) in [(Listed::No, false), (Listed::Yes, true)] {
                assert_eq!(settle(&stands, listed, false), Settled::Fate { stored, fate: fate.clone() }, "{stands:?}");
            }
        }
    }
}
