//! The brackets of a statement, without quoted texts and comments.

/// A text with one character for each quoted text and a space for each comment, and the number of
/// open brackets. A quoted text ends with its line.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) text: String,
    pub(super) depth: usize,
    within: Within,
    /// Bytes that were read.
    read: usize,
    /// The position of the first semicolon that ends a statement.
    end: Option<usize>,
}

/// What a position of a text lies in.
#[derive(Debug, Default, Clone, Copy)]
enum Within {
    #[default]
    Nothing,
    Quote {
        quote: char,
        escaped: bool,
    },
    /// To the end of the line.
    Comment,
    /// To `*/`.
    Block,
}

impl Outline {
    pub(super) fn of(text: &str) -> Outline {
        let mut outline = Outline::default();
        outline.push(text);
        outline
    }

    /// The semicolon that ends the first statement of a text, with more after it or nothing.
    pub(super) fn end(text: &str) -> Option<usize> {
        let mut outline = Outline::default();
        for line in text.split_inclusive('\n') {
            outline.push(line);
            if outline.end.is_some() {
                break;
            }
        }
        outline.end
    }

    /// Reads the next lines, which must be whole.
    pub(super) fn push(&mut self, text: &str) {
        let begin = self.read;
        let mut characters = text.char_indices().peekable();
        while let Some((at, next)) = characters.next() {
            let follows = characters.peek().map(|(_, next)| *next);
            let pair = (next, follows.unwrap_or_default());
            if let (';', 0, Within::Nothing) = (next, self.depth, self.within)
                && follows.is_none_or(char::is_whitespace)
            {
                self.end.get_or_insert(begin + at);
            }
            self.within = match (self.within, pair) {
                (Within::Block, ('*', '/')) => {
                    characters.next();
                    Within::Nothing
                }
                (Within::Block, _) => Within::Block,
                (Within::Comment, (character, _)) if character != '\n' => Within::Comment,
                (Within::Quote { quote, escaped }, (character, _)) if character != '\n' => {
                    match character == quote && !escaped {
                        true => Within::Nothing,
                        false => Within::Quote { quote, escaped: character == '\\' && !escaped },
                    }
                }
                (_, pair) => self.plain(pair),
            };
        }
        self.read += text.len();
    }

    /// Takes a character outside quotes and comments; returns what the next one lies in.
    fn plain(&mut self, pair: (char, char)) -> Within {
        let (sign, within) = match pair {
            (quote @ ('"' | '\'' | '`'), _) => ('\'', Within::Quote { quote, escaped: false }),
            ('-', '-') | ('/', '/') => (' ', Within::Comment),
            ('/', '*') => (' ', Within::Block),
            (other, _) => (other, Within::Nothing),
        };
        match sign {
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.text.push(sign);
        within
    }
}
