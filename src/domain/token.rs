//! Commit tokens: what tells a commit's own write from another's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::id::random_bytes;

/// Marks one commit: 64 random bits, the same for all its replays and repeats, kept in the row it wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token([u8; 8]);

impl Token {
    /// The length of a token's text.
    const LEN: usize = 11;

    pub(crate) fn random() -> Self {
        Self(random_bytes())
    }

    fn bytes(self) -> [u8; Self::LEN] {
        let mut text = [0; Self::LEN];
        URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).expect("eight bytes are eleven characters");
        text
    }

    pub(crate) fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The tokens of a row's last commits, the newest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tokens(String);

impl Tokens {
    /// How many a row keeps: so many other commits may come between a write and the repeat that recognises it.
    const KEPT: usize = 8;

    /// Takes the tokens as they stand in a row; what is no list of tokens is none.
    pub(crate) fn stored(text: String) -> Self {
        let whole = text.is_ascii() && text.len().is_multiple_of(Token::LEN);
        Self(if whole { text } else { String::new() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn list(&self, token: Token) -> bool {
        let token = token.bytes();
        self.0.as_bytes().chunks(Token::LEN).any(|kept| kept == token)
    }

    /// Appends a token; the oldest goes.
    pub(crate) fn with(&self, token: Token) -> Self {
        let excess = (self.0.len() + Token::LEN).saturating_sub(Self::KEPT * Token::LEN);
        let mut tokens = String::with_capacity(self.0.len() + Token::LEN - excess);
        tokens.push_str(&self.0[excess..]);
        tokens.push_str(std::str::from_utf8(&token.bytes()).expect("base64 is ASCII"));
        Self(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_last_eight_tokens() {
        let drawn: Vec<Token> = (0..10).map(|_| Token::random()).collect();
        let tokens = drawn.iter().fold(Tokens::default(), |tokens, token| tokens.with(*token));
        let kept: Vec<bool> = drawn.iter().map(|token| tokens.list(*token)).collect();
        assert_eq!(kept, [[false; 2].as_slice(), &[true; 8]].concat());
        assert_eq!(Tokens::stored(tokens.as_str().to_owned()), tokens);
    }

    #[test]
    fn what_is_no_list_of_tokens_is_none() {
        for text in ["x", "ääääääääääää", "0123456789a0"] {
            assert_eq!(Tokens::stored(text.to_owned()), Tokens::default(), "{text}");
        }
    }
}
