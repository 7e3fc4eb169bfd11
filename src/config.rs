//! What is configured under `sessions` in Rocket.toml: every key, its meaning and its default.

mod arn;
mod check;
mod cookie;
mod duration;
mod endpoint;
mod error;
mod extract;
mod header;
mod json;
mod lifetime;
mod scalar;
mod share;
mod token;
mod unread;
mod values;
mod variable;
mod word;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use arn::TableArn;
pub use cookie::{CookieConfig, SameSite};
pub(crate) use duration::format;
pub use endpoint::Endpoint;
pub use error::{ConfigError, ValueError};
pub use lifetime::Lifetime;
pub use share::Share;
pub(crate) use unread::{Unread, described, unread};
pub use values::{Codec, CompressAbove, InvalidSealKey, SealKey};
pub(crate) use variable::misspelt_variables;
pub use word::{CacheControl, ConsistentRead, OnOutage, Verify};

/// The configuration of the sessions: the table `sessions` of a Rocket profile.
///
/// The fairing reads it from Rocket's figment, so each key can be set in any profile of Rocket.toml and by an
/// environment variable such as `ROCKET_SESSIONS={table="shop",cookie={name="shop"}}`; a key that is not set has its
/// default. An unknown key, a wrong type or a contradiction aborts the launch, and the message names profile, key and
/// file.
///
/// Times are texts such as `"14 days"`, `"90 minutes"` or `"1500 ms"`, or integers: whole seconds.
///
/// ```toml
/// [default.sessions]
/// table = "shop-sessions"
/// ttl = "14 days"
///
/// [debug.sessions]
/// endpoint = "memory"
///
/// [release.sessions]
/// region = "eu-west-1"
/// cookie = { name = "__Host-session" }
/// ```
///
/// # A key more is no break
///
/// Later versions add keys. So that this breaks no application, a configuration made by hand ends with
/// `..Config::default()`: a field that nobody should name keeps one from being written without it. That is why the struct
/// is not `#[non_exhaustive]`, with which Rust would refuse that very spelling.
///
/// # Examples
///
/// A configuration made by hand starts from the defaults too; the fairing checks it in the same way:
///
/// ```
/// use std::time::Duration;
///
/// use rocket_dynamodb_sessions::{Config, Lifetime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config {
///     table: "shop-sessions".into(),
///     ttl: Lifetime::new(Duration::from_secs(30 * 60))?,
///     ..Config::default()
/// };
/// config.validate(false)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names the DynamoDB table. DynamoDB wants 3 to 255 characters of `a-z`, `A-Z`, `0-9`, `_`, `.` and `-`. A table of
    /// another account is named by its ARN, such as `"arn:aws:dynamodb:eu-west-1:123456789012:table/sessions"`; its Region
    /// is then the one that is asked, and a resource policy of the table has to allow it.
    /// **(default: `"sessions"`)**
    pub table: String,

    /// Stands in front of each row key, so that several applications can share a table: none sees or lists the rows of
    /// another. A changed prefix signs everybody out. At most 2,005 bytes: DynamoDB's keys have 2,048, a row key
    /// without prefix has 43. **(default: `""`)**
    pub key_prefix: String,

    /// Names the AWS region, such as `"eu-west-1"`. Without it the region is that of the table's ARN, or comes from AWS's
    /// own chain: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, the machine's metadata. The launch says which it is and
    /// who has named it. **(default: none)**
    pub region: Option<String>,

    /// Leads to another DynamoDB than AWS's: `"memory"` or `"file:PATH"` for the embedded one, or the URL of a server,
    /// such as `"http://localhost:8000"`. Without it, `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL` and `endpoint_url` of
    /// the AWS profile count. For a server on this machine credentials and region are invented (`local`, `us-east-1`)
    /// where AWS's chain names none; the machine's metadata are not asked. See [`Endpoint`]. **(default: none)**
    pub endpoint: Option<Endpoint>,

    /// Creates the table at launch if it does not exist: billed on demand, TTL switched on. The application then needs
    /// the permissions for it. With an embedded endpoint the table is created in any case. **(default: `false`)**
    pub create_table: bool,

    /// Says what follows at launch from a table that is missing, has another key, or has TTL off or on another
    /// attribute: `"off"` does not look, `"warn"` logs it, `"fail"` aborts. A table that cannot be reached, or that the
    /// application has no permission to describe, aborts in no case. **(default: `"warn"`)**
    pub verify: Verify,

    /// Ends a session that was idle for so long, and is the `Max-Age` of its cookie. The clock restarts when a request
    /// loads the session, but not on each: see [`renew_below`](Config::renew_below). Browsers cap a cookie at 400 days
    /// (RFC 6265bis, 5.5), and so does this crate: it is renewed for as long as the row lives. For an application that guards money OWASP's session management cheat sheet advises 2 to
    /// 5 minutes, else 15 to 30. **(default: `"14 days"`)**
    pub ttl: Lifetime,

    /// Ends a session so long after its login, or after its creation when nobody signed in, however busy it is; not
    /// shorter than the idle timeouts it goes with. OWASP's cheat sheet advises 4 to 8 hours for an office application. **(default: none)**
    pub absolute_ttl: Option<Lifetime>,

    /// Is the idle timeout of signed-in sessions that outlive the browser ([`remember`](Config::remember), or the session's
    /// own choice), instead of `ttl`; not shorter than that. With `ttl = "30 minutes"` and `remember_ttl = "30 days"` a
    /// sign-in lasts half an hour of idleness, and with "remember me" a month. Without it, `ttl` counts. **(default: none)**
    pub remember_ttl: Option<Lifetime>,

    /// Is the absolute timeout of signed-in sessions that outlive the browser, instead of `absolute_ttl`; not shorter than
    /// that. Without it, `absolute_ttl` counts. **(default: none)**
    pub remember_absolute_ttl: Option<Lifetime>,

    /// Is the idle timeout of visitors who did not sign in, instead of `ttl`: shorter where their rows are many, longer for
    /// a cart. Without it, `ttl` counts. **(default: none)**
    pub anonymous_ttl: Option<Lifetime>,

    /// Keeps the tombstone of a rotated session so long: the parallel requests of a page that still bring the old ID
    /// are led to the new one after a `cycle_id`, and cannot undo a login. A request that takes longer than this loses
    /// its changes. **(default: `"5 minutes"`)**
    pub tombstone_ttl: Lifetime,

    /// Refreshes row and cookie only when less than this share of the lifetime is left, so that a busy visitor does not
    /// cost a write and a `Set-Cookie` a request. With 14 days and 0.9 a session is refreshed at most every 33.6 hours,
    /// and one left alone ends 12.6 to 14 days after its last request. With 1.0 each request refreshes.
    /// **(default: `0.9`)**
    pub renew_below: Share,

    /// Reads rows with strongly consistent reads, at one read unit for each 4 KB. `false` halves that cost; a request
    /// may then see a session as it was a moment ago (a miss is read again consistently), also one signed out
    /// elsewhere. Writes are conditional either way. **(default: `true`)**
    pub consistent_read: ConsistentRead,

    /// Shapes the cookie that holds the session ID, unless [`header`](Config::header) is set. See [`CookieConfig`].
    /// **(default: a cookie named `session`)**
    #[serde(deserialize_with = "cookie::deserialize")]
    pub cookie: CookieConfig,

    /// Gives the cookie a `Max-Age`, so that it outlives the browser's window, and signed-in sessions the lifetime
    /// [`remember_ttl`](Config::remember_ttl). With `false` the cookie ends with the window, the row after `ttl`; a session
    /// can choose for itself with `remember`. **(default: `true`)**
    pub remember: bool,

    /// Carries the session ID in this request and response header, for clients that are no browsers: `true` means
    /// `X-SessionId`, a text is the header's name; one that HTTP, browsers or this crate need themselves is refused. No
    /// cookie is read or sent then. See [the README](crate#the-id-in-a-header) for pages of other origins.
    /// **(default: `false`)**
    #[serde(with = "header")]
    pub header: Option<String>,

    /// Says what caches and browsers may do with a response that used the session, where the application does not say so
    /// itself: `"private"` keeps it out of shared caches, `"no-store"` out of the browser's too, so that its Back button
    /// shows no page of a user who has signed out. **(default: `"private"`)**
    pub cache_control: CacheControl,

    /// Bounds all that one request asks of the store, attempts and replays included; past it the store counts as
    /// unavailable. From 1 ms to 60 s; the AWS SDK itself has no bound. **(default: `"4500 ms"`)**
    #[serde(with = "duration")]
    pub deadline: Duration,

    /// Gives up a single attempt after so long, and tries again within [`deadline`](Config::deadline). From 1 ms to
    /// 60 s; AWS advises at least 1 s for transactions, which rotate an ID. **(default: `"1500 ms"`)**
    #[serde(with = "duration")]
    pub attempt_timeout: Duration,

    /// Counts how often a failed call is tried in all, from 1 to 10, within [`deadline`](Config::deadline). With 1500
    /// ms an attempt and 4500 ms in all, a store that hangs is tried three times. **(default: `4`)**
    pub attempts: u32,

    /// Waits at most so long before the second attempt, at random, and twice as long before each further one: with
    /// 4 attempts at most 25, 50 and 100 ms. From 1 ms to 60 s; the AWS SDK's own is 1 s. **(default: `"25 ms"`)**
    #[serde(with = "duration")]
    pub backoff: Duration,

    /// Stores a request's changes even if it answered 5xx or panicked; what `invalidate` ends is ended in any case. A
    /// half-done change is then stored too. **(default: `false`)**
    pub commit_on_error: bool,

    /// Says what a guard does while the store is unavailable: `"fail"` answers 503, `"anonymous"` goes on with an empty
    /// session that stores nothing, as if the visitor were signed out: a handler that changes it gets the outage as an
    /// error then, and not after it has answered. **(default: `"fail"`)**
    pub on_outage: OnOutage,

    /// Encodes the data of new sessions: `"json"`, or `"cbor"` and `"native"` with the Cargo features of these names. A
    /// session keeps its codec as long as it lives, so a change strands nobody. See the chapter on values.
    /// **(default: `"json"`)**
    pub codec: Codec,

    /// Compresses the data of a session that has more bytes than this, where that makes it smaller (feature `zstd`; codecs
    /// `json` and `cbor`): each KB is a write unit of every change. A size such as `"4 KiB"`, or `false` for never.
    /// Without it, with the feature, 1 KiB: what is smaller costs one unit in any case. **(default: none)**
    pub compress_above: Option<CompressAbove>,

    /// Seals the data of sessions with these keys (feature `encrypt`, XChaCha20-Poly1305; codecs `json` and `cbor`), each
    /// value bound to its row: the first key seals, all open, so a new key is put in front and the old one goes after
    /// [`ttl`](Config::ttl). A row sealed with a key that is not here is undecodable. A key is made with
    /// `head -c 32 /dev/urandom | base64`; keys may come from the environment:
    /// `ROCKET_SESSIONS={seal_keys=["…"]}`. **(default: `[]`)**
    pub seal_keys: Vec<SealKey>,

    /// Logs a warning for a session that takes more than this share of the 400 KB (409,600 bytes) that DynamoDB stores
    /// in an item: with 0.5, above 204,800 bytes. Such a session costs 50 read units a load. **(default: `0.5`)**
    pub warn_size: Share,

    #[doc(hidden)]
    #[serde(skip)]
    pub __more: (),
}

/// Every default there is, but the cookie's: those are in [`CookieConfig`]'s.
impl Default for Config {
    fn default() -> Self {
        Self {
            table: "sessions".into(),
            key_prefix: String::new(),
            region: None,
            endpoint: None,
            create_table: false,
            verify: Verify::Warn,
            ttl: Lifetime::from_secs(14 * 24 * 60 * 60),
            absolute_ttl: None,
            remember_ttl: None,
            remember_absolute_ttl: None,
            anonymous_ttl: None,
            tombstone_ttl: Lifetime::from_secs(5 * 60),
            renew_below: Share::from_percent(90),
            consistent_read: ConsistentRead::On,
            cookie: CookieConfig::default(),
            remember: true,
            header: None,
            cache_control: CacheControl::Private,
            deadline: Duration::from_millis(4500),
            attempt_timeout: Duration::from_millis(1500),
            attempts: 4,
            backoff: Duration::from_millis(25),
            commit_on_error: false,
            on_outage: OnOutage::Fail,
            codec: Codec::Json,
            compress_above: None,
            seal_keys: Vec::new(),
            warn_size: Share::from_percent(50),
            __more: (),
        }
    }
}
