//! The tombstone of a session: what stands in its row's place when it has ended or got another ID.

use crate::domain::id::RowKey;
use crate::domain::settle::Kind;
use crate::domain::token::Token;
use crate::store::expression::Expression;
use crate::store::item::{Item, number, text};
use crate::store::row::{
    CODEC, COOKIE, DATA, ENDED, ENDER, HANDLE, LIFETIME, MODIFIED, PRINCIPAL, REMEMBER, STARTED, SUCCESSOR, TTL,
};
use crate::store::version::Version;

/// How many attributes of other programs go with a session: DynamoDB's expressions have at most 300 operators.
const MOST_FOREIGN: usize = 100;

/// A tombstone to be written.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone<'a> {
    pub(crate) kind: Kind,
    pub(crate) successor: Option<&'a RowKey>,
    pub(crate) token: Token,
    pub(crate) ttl: i64,
    pub(crate) version: Version,
    /// The attributes of other programs that the row is known to have.
    pub(crate) extra: Option<&'a Item>,
}

impl Tombstone<'_> {
    /// Puts it in the place of the row that meets the condition. The row keeps its tokens, whatever they are by now.
    pub(super) fn bury(&self, mut on: Expression) -> Expression {
        let why = match self.kind {
            Kind::Ended => "ended",
            Kind::Cycle => "cycle",
            Kind::Login => "login",
        };
        on.put(ENDED, Some(text(why)));
        on.put(ENDER, Some(text(self.token.text())));
        on.put(TTL, Some(number(self.ttl)));
        on.put(MODIFIED, self.version.0.clone());
        if let Some(successor) = self.successor {
            on.put(SUCCESSOR, Some(text(successor.as_str())));
        }
        for name in [DATA, CODEC, PRINCIPAL, STARTED, LIFETIME, REMEMBER, COOKIE] {
            on.put(name, None);
        }
        // What a scan looks for has to lead on where the session cycles meanwhile.
        if self.kind != Kind::Cycle {
            on.put(HANDLE, None);
        }
        // An expression takes so many; whoever keeps more there has to clean up alone, and the end comes first.
        for name in self.extra.into_iter().flat_map(Item::keys).take(MOST_FOREIGN) {
            on.remove_foreign(name);
        }
        on
    }
}
