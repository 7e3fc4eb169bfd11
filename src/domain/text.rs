//! A text that shares its bytes with the larger text it was cut from.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A part of a text that many may hold: a row's data is one text, and its keys and values are parts of it.
#[derive(Clone)]
pub(crate) struct Text {
    whole: Arc<str>,
    from: u32,
    to: u32,
}

impl Text {
    /// Takes the part of `whole` that `part` borrows; a text that lies elsewhere is copied.
    pub(crate) fn part(whole: &Arc<str>, part: &str) -> Self {
        let from = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        let inside = from.checked_add(part.len()).is_some_and(|to| to <= whole.len());
        // A row has at most 400 KB; what does not fit the numbers is copied as well.
        match (inside, u32::try_from(from), u32::try_from(from.wrapping_add(part.len()))) {
            (true, Ok(from), Ok(to)) => Self { whole: whole.clone(), from, to },
            _ => Self::from(part),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.whole[self.from as usize..self.to as usize]
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { whole: Arc::from(text), from: 0, to: u32::try_from(text.len()).expect("a text of less than 4 GB") }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.whole, &other.whole) && (self.from, self.to) == (other.from, other.to);
        same || self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// A text can be a value of the application's, so it is not shown.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shares_the_whole_and_a_stranger_is_copied() {
        let whole: Arc<str> = Arc::from("{\"key\":1}");
        let part = Text::part(&whole, &whole[2..5]);
        assert_eq!((&*part, Arc::strong_count(&whole)), ("key", 2));
        let stranger = Text::part(&whole, "key");
        assert_eq!((stranger == part, Arc::strong_count(&whole)), (true, 2));
        assert_eq!(&*Text::part(&whole, ""), "");
    }
}
