//! Values, documents, paths, filters, schemas and rules.

use super::{COLLECTIONS, Hostile, nested, object, quoted};

const FIELDS: [&str; 10] = ["a", "b", "n", "s", "tags", "lines", "d", "_id", "a.b", "lines.price"];
const NUMBERS: [&str; 38] = [
    "0",
    "1",
    "2",
    "7",
    "-1",
    "-0",
    "100",
    "100000",
    "0.1",
    "-0.0",
    "2147483648",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "123456789012345678901234567890",
    "1e308",
    "-1.7976931348623157e308",
    "5e-324",
    "1e400",
    r#"{"$numberDouble":"NaN"}"#,
    r#"{"$numberDouble":"-Infinity"}"#,
    r#"{"$numberLong":"9223372036854775807"}"#,
    r#"{"$numberLong":"5"}"#,
    r#"{"$numberInt":"2147483647"}"#,
    r#"{"$numberDecimal":"0"}"#,
    r#"{"$numberDecimal":"-0.00"}"#,
    r#"{"$numberDecimal":"5.00"}"#,
    r#"{"$numberDecimal":"NaN"}"#,
    r#"{"$numberDecimal":"-Infinity"}"#,
    r#"{"$numberDecimal":"1E6111"}"#,
    r#"{"$numberDecimal":"1E-6176"}"#,
    r#"{"$numberDecimal":"3E-6000"}"#,
    r#"{"$numberDecimal":"9.999999999999999999999999999999999E6144"}"#,
    r#"{"$numberDecimal":"0e-999999999"}"#,
    r#"{"$numberDecimal":"1e999999999"}"#,
    r#"{"$numberDecimal":"0.1234567890123456789012345678901234"}"#,
];
const OTHERS: [&str; 25] = [
    "null",
    "true",
    "false",
    r#"{"$date":"2026-01-31T00:00:00Z"}"#,
    r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
    r#"{"$date":{"$numberLong":"-62135596800001"}}"#,
    r#"{"$oid":"0123456789abcdef01234567"}"#,
    r#"{"$binary":{"base64":"AQI=","subType":"80"}}"#,
    r#"{"$date":"nothing"}"#,
    r#"{"$timestamp":{"t":4294967295,"i":1}}"#,
    r#"{"$timestamp":{"t":-1,"i":1}}"#,
    r#"{"$regularExpression":{"pattern":"^a(b|c)*$","options":"i"}}"#,
    r#"{"$regularExpression":{"pattern":"(?<=a)b","options":"q"}}"#,
    r#"{"$regularExpression":{"pattern":"(","options":""}}"#,
    r#"{"$minKey":1}"#,
    r#"{"$maxKey":1}"#,
    r#"{"$code":"function() { return 1 }"}"#,
    r#"{"$code":"x","$scope":{"x":[1,{"y":{"$numberLong":"5"}}]}}"#,
    r#"{"$code":"x","$scope":1}"#,
    r#"{"$symbol":"s"}"#,
    r#"{"$undefined":true}"#,
    r#"{"$dbPointer":{"$ref":"a","$id":{"$oid":"0123456789abcdef01234567"}}}"#,
    r#"{"$oid":1}"#,
    "[]",
    "{}",
];
const PATTERNS: [&str; 9] = [
    "^a",
    "(a*)*$",
    "(?:x{1000}){1000}",
    "[a-z]{1,500}x",
    "(?i)É+",
    "((((((((a|b)*)+)*)+)*)+)*)+$",
    "(",
    "\\\\p{L}{200}",
    "",
];
const TEXTS: [&str; 8] = ["", "a", "x y", "é😀", "$a", "a.b", "\u{0}", "'\"\\"];

impl<C: FnMut(u64) -> u64> Hostile<C> {
    /// A string, as JSON.
    pub(super) fn text(&mut self) -> String {
        match self.below(8) {
            0 => {
                let length = self.pick(&[100, 511, 600, 5_000, 200_000]);
                format!("\"{}\"", "x".repeat(length))
            }
            1 => quoted(&self.path()),
            2 => quoted(self.pick_text(&PATTERNS)),
            _ => quoted(self.pick_text(&TEXTS)),
        }
    }

    fn pick_text(&mut self, texts: &[&'static str]) -> &'static str {
        self.pick(texts)
    }

    pub(super) fn number(&mut self) -> String {
        self.pick(&NUMBERS).to_owned()
    }

    fn scalar(&mut self) -> String {
        match self.below(8) {
            0..=3 => self.number(),
            4 | 5 => self.text(),
            _ => self.pick(&OTHERS).to_owned(),
        }
    }

    /// A value that is not an operator; `level` bounds its depth.
    pub(super) fn value(&mut self, level: u64) -> String {
        if level == 0 {
            return self.scalar();
        }
        match self.below(14) {
            0 => format!("[{}]", self.some(4, |this| this.value(level - 1)).join(",")),
            1 => self.object(level - 1),
            2 => {
                let (width, item) = (self.width(), self.scalar());
                let width = width.min(1 + 2_000_000 / item.len());
                format!("[{}]", vec![item; width].join(","))
            }
            3 => {
                let numbers: Vec<_> = (0..self.width()).map(|n| n.to_string()).collect();
                format!("[{}]", numbers.join(","))
            }
            4 => {
                let fields: Vec<_> = (0..self.width()).map(|n| format!("\"f{n}\":{n}")).collect();
                object(fields)
            }
            5 => {
                let (open, close) =
                    self.pick(&[("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]"), ("[[],", "]")]);
                let (core, depth) = (self.scalar(), self.depth());
                nested(open, &core, close, depth)
            }
            _ => self.scalar(),
        }
    }

    fn object(&mut self, level: u64) -> String {
        let fields = self.some(5, |this| format!("{}:{}", this.field(), this.value(level)));
        object(fields)
    }

    /// The name of a field, as JSON.
    fn field(&mut self) -> String {
        match self.below(16) {
            0 => format!("\"{}\"", "f".repeat(self.width())),
            1 => self.text(),
            _ => quoted(self.pick_text(&FIELDS)),
        }
    }

    /// An `_id`, as JSON.
    pub(super) fn id(&mut self) -> String {
        match self.below(10) {
            0 => format!("\"{}\"", "i".repeat(self.pick(&[100, 400, 511, 600]))),
            1 => self.scalar(),
            2 => quoted(self.pick_text(&TEXTS)),
            _ => self.below(20).to_string(),
        }
    }

    pub(super) fn document(&mut self) -> String {
        let mut fields = Vec::new();
        if self.one_in(2) {
            fields.push(format!("\"_id\":{}", self.id()));
        }
        for name in ["a", "b", "n", "s", "tags", "lines", "d"] {
            if self.one_in(3) {
                fields.push(format!("\"{name}\":{}", self.value(3)));
            }
        }
        if self.one_in(10) {
            let (name, value) = (self.field(), self.value(2));
            fields.push(format!("{name}:{value}"));
        }
        if self.one_in(12) {
            fields.push(format!("\"a\":[{}]", vec!["[]"; self.width()].join(",")));
        }
        object(fields)
    }

    /// A path to a field, without quotes.
    pub(super) fn path(&mut self) -> String {
        match self.below(14) {
            0 => {
                self.pick_text(&["", ".", "a..b", "$", "$a", "a.$b", "a.100000", "é.b"]).to_owned()
            }
            1 => vec!["a"; self.depth()].join("."),
            2 => "p".repeat(self.width()),
            3 => vec!["0"; self.depth()].join("."),
            4 => self.pick_text(&["tags.0", "lines.0.price", "a.0.0.0", "a.b.c.d"]).to_owned(),
            _ => self.pick_text(&FIELDS).to_owned(),
        }
    }

    pub(super) fn quoted_path(&mut self) -> String {
        quoted(&self.path())
    }

    /// A merge patch or update operators.
    pub(super) fn patch(&mut self) -> String {
        match self.below(3) {
            0 => self.update(),
            1 => {
                let depth = self.depth();
                nested("{\"a\":", &self.scalar(), "}", depth)
            }
            _ => self.object(3),
        }
    }

    pub(super) fn filter(&mut self) -> String {
        match self.below(6) {
            0 => "{}".into(),
            1 => {
                let (open, close) = self.pick(&[
                    ("{\"$and\":[", "]}"),
                    ("{\"$nor\":[", "]}"),
                    ("{\"$or\":[{\"a\":1},", "]}"),
                    ("{\"a\":{\"$elemMatch\":", "}}"),
                    ("{\"$and\":[{\"$or\":[", "]}]}"),
                ]);
                let (core, depth) = (self.filter_of(1), self.depth());
                nested(open, &core, close, depth)
            }
            2 => {
                let depth = self.depth();
                let core = self.condition(1);
                let condition = nested("{\"$not\":", &core, "}", depth);
                format!("{{\"a\":{condition}}}")
            }
            _ => self.filter_of(3),
        }
    }

    fn filter_of(&mut self, level: u64) -> String {
        let one = |this: &mut Self| match this.below(8) {
            0 if level > 0 => {
                let name = this.pick(&["$and", "$or", "$nor"]);
                let all = this.some(4, |this| this.filter_of(level - 1));
                format!("\"{name}\":[{}]", all.join(","))
            }
            1 => format!("\"$expr\":{}", this.expression(3)),
            2 => format!("\"_id\":{}", this.id()),
            _ => format!("{}:{}", this.quoted_path(), this.condition(level)),
        };
        object(self.some(3, one))
    }

    pub(super) fn condition(&mut self, level: u64) -> String {
        match self.below(14) {
            0..=3 => {
                let name = self.pick(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]);
                format!("{{\"{name}\":{}}}", self.value(1))
            }
            4 => {
                let (name, width) = (self.pick(&["$in", "$nin", "$all"]), self.width());
                let item = self.scalar();
                let items = vec![item.clone(); width.min(1 + 1_000_000 / item.len())];
                format!("{{\"{name}\":[{}]}}", items.join(","))
            }
            5 => format!("{{\"$exists\":{}}}", self.scalar()),
            6 => format!(
                "{{\"$type\":{}}}",
                self.pick(&["\"number\"", "2", "\"decimal\"", "[1,99]"])
            ),
            7 => format!("{{\"$regex\":{},\"$options\":\"i\"}}", quoted(self.pick_text(&PATTERNS))),
            8 => format!("{{\"$mod\":[{},{}]}}", self.number(), self.number()),
            9 => format!("{{\"$size\":{}}}", self.number()),
            10 if level > 0 => format!("{{\"$elemMatch\":{}}}", self.filter_of(level - 1)),
            11 if level > 0 => format!("{{\"$not\":{}}}", self.condition(level - 1)),
            _ => self.value(2),
        }
    }

    pub(super) fn sort(&mut self) -> String {
        let fields = self.some(4, |this| format!("{}:{}", this.quoted_path(), this.direction()));
        object(fields)
    }

    pub(super) fn projection(&mut self) -> String {
        let one = |this: &mut Self| {
            let value = match this.below(4) {
                0 => this.expression(2),
                1 => format!("{{\"$slice\":{}}}", this.number()),
                2 => "0".into(),
                _ => "1".into(),
            };
            format!("{}:{value}", this.quoted_path())
        };
        object(self.some(4, one))
    }

    pub(super) fn schema(&mut self) -> String {
        match self.below(7) {
            0 => "{}".into(),
            1 => {
                let depth = self.depth();
                nested("{\"properties\":{\"a\":", "{\"type\":\"string\"}", "}}", depth)
            }
            2 => {
                let depth = self.depth();
                nested("{\"allOf\":[", "{}", "]}", depth)
            }
            3 => r##"{"$ref":"#"}"##.into(),
            4 => {
                let pattern = quoted(self.pick_text(&PATTERNS));
                format!("{{\"properties\":{{\"s\":{{\"pattern\":{pattern}}}}}}}")
            }
            5 => {
                let (number, width) = (self.number(), self.width());
                let names: Vec<_> = (0..width).map(|n| format!("\"r{n}\"")).collect();
                format!(
                    "{{\"required\":[{}],\"properties\":{{\"n\":{{\"multipleOf\":{number},\
                     \"maximum\":{number}}}}}}}",
                    names.join(",")
                )
            }
            _ => r#"{"properties":{"tags":{"uniqueItems":true},"lines":{"contains":{"type":"null"}}}}"#
                .into(),
        }
    }

    pub(super) fn rules(&mut self) -> String {
        let rule = |this: &mut Self| {
            let name =
                this.pick(&["not_null", "not_empty", "non_negative", "min_value", "range", "x"]);
            let (path, value) = (this.quoted_path(), this.value(1));
            match this.below(4) {
                0 => {
                    let (target, field) = (this.pick(&COLLECTIONS), this.quoted_path());
                    format!(
                        "{{{path}:{{\"type\":\"referenced\",\"collectionreferenced\":\"{target}\",\
                         \"externalfield\":{field}}}}}"
                    )
                }
                1 => format!("{{{path}:{{\"type\":\"range\",\"value\":[0,5]}}}}"),
                _ => format!("{{{path}:{{\"type\":\"{name}\",\"value\":{value}}}}}"),
            }
        };
        let mut rules = self.some(4, rule);
        if self.one_in(4) {
            rules = vec![rules[0].clone(); self.width()];
        }
        let (id, collection) = (self.below(5), self.collection());
        format!("{{\"_id\":\"r{id}\",\"{collection}\":[{}]}}", rules.join(","))
    }
}
