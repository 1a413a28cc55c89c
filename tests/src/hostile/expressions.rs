//! Expressions, updates and pipelines.

use super::{COLLECTIONS, Hostile, nested, object};

/// Operators that take a list of expressions of any length.
const LISTS: [&str; 84] = [
    "$abs",
    "$add",
    "$allElementsTrue",
    "$and",
    "$anyElementTrue",
    "$arrayElemAt",
    "$arrayToObject",
    "$avg",
    "$ceil",
    "$cmp",
    "$concat",
    "$concatArrays",
    "$cond",
    "$dayOfYear",
    "$divide",
    "$eq",
    "$exp",
    "$first",
    "$floor",
    "$gt",
    "$gte",
    "$hour",
    "$ifNull",
    "$in",
    "$indexOfArray",
    "$indexOfBytes",
    "$indexOfCP",
    "$isArray",
    "$isNumber",
    "$isoWeek",
    "$last",
    "$ln",
    "$log",
    "$lt",
    "$max",
    "$mergeObjects",
    "$min",
    "$mod",
    "$multiply",
    "$ne",
    "$not",
    "$objectToArray",
    "$or",
    "$pow",
    "$range",
    "$reverseArray",
    "$round",
    "$setDifference",
    "$setEquals",
    "$setIntersection",
    "$setIsSubset",
    "$setUnion",
    "$size",
    "$slice",
    "$split",
    "$sqrt",
    "$stdDevPop",
    "$stdDevSamp",
    "$strLenBytes",
    "$strLenCP",
    "$strcasecmp",
    "$substr",
    "$substrBytes",
    "$substrCP",
    "$subtract",
    "$sum",
    "$toBool",
    "$toDate",
    "$toDecimal",
    "$toDouble",
    "$toInt",
    "$toLong",
    "$toLower",
    "$toObjectId",
    "$toString",
    "$toUpper",
    "$trunc",
    "$type",
    "$week",
    "$year",
    "$zip",
    "$getField",
    "$unknown",
    "$literal",
];

/// Expressions whose results are much larger than their operands.
const GREEDY: [&str; 24] = [
    r#"{"$reduce":{"input":{"$range":[0,64]},"initialValue":"xxxxxxxx","in":{"$concat":["$$value","$$value"]}}}"#,
    r#"{"$reduce":{"input":{"$range":[0,64]},"initialValue":["x"],"in":{"$concatArrays":["$$value","$$value"]}}}"#,
    r#"{"$reduce":{"input":{"$range":[0,200]},"initialValue":{},"in":{"a":"$$value","b":"$$value"}}}"#,
    r#"{"$reduce":{"input":{"$range":[0,200]},"initialValue":1,"in":["$$value","$$value"]}}"#,
    r#"{"$reduce":{"input":{"$range":[0,200]},"initialValue":{"$numberDecimal":"3E-3000"},"in":{"$multiply":["$$value","$$value"]}}}"#,
    r#"{"$reduce":{"input":{"$range":[0,100000]},"initialValue":[],"in":{"$setUnion":["$$value",["$$this"]]}}}"#,
    r#"{"$range":[0,1000000000]}"#,
    r#"{"$range":[-9223372036854775808,9223372036854775807,9223372036854775807]}"#,
    r#"{"$size":{"$map":{"input":{"$range":[0,3000]},"in":{"$range":[0,3000]}}}}"#,
    r#"{"$map":{"input":{"$range":[0,1000]},"in":"$$ROOT"}}"#,
    r#"{"$zip":{"inputs":[{"$range":[0,999999]},["a"]],"useLongestLength":true,"defaults":["$$ROOT",0]}}"#,
    r#"{"$pow":[{"$subtract":["$n","$n"]},1000000]}"#,
    r#"{"$pow":["$n",{"$numberDecimal":"1E3000"}]}"#,
    r#"{"$pow":[{"$numberDecimal":"1.000000000000000000000000000000001"},9223372036854775807]}"#,
    r#"{"$round":["$n",100]}"#,
    r#"{"$trunc":[{"$numberDecimal":"1E6000"},-20]}"#,
    r#"{"$replaceAll":{"input":{"$concat":["$s","$s","$s"]},"find":"x","replacement":"$s"}}"#,
    r#"{"$split":[{"$concat":["$s","$s"]},"x"]}"#,
    r#"{"$regexFindAll":{"input":"$s","regex":"x?"}}"#,
    r#"{"$dateAdd":{"startDate":{"$date":"2026-01-31T00:00:00Z"},"unit":"year","amount":9223372036854775807}}"#,
    r#"{"$dateFromParts":{"year":9223372036854775807,"month":-9223372036854775808}}"#,
    r#"{"$dateToString":{"date":{"$date":{"$numberLong":"-62135596800001"}},"timezone":"Asia/Kathmandu"}}"#,
    r#"{"$sortArray":{"input":"$a","sortBy":{"a":1}}}"#,
    r#"{"$setField":{"field":{"$literal":"a.b"},"input":"$$ROOT","value":"$$ROOT"}}"#,
];

impl<C: FnMut(u64) -> u64> Hostile<C> {
    /// An expression; `level` bounds its depth.
    pub(super) fn expression(&mut self, level: u64) -> String {
        if level == 0 {
            return self.operand();
        }
        match self.below(12) {
            0..=2 => self.operand(),
            3 => self.pick(&GREEDY).to_owned(),
            4 => {
                let (open, close) = self.pick(&[
                    ("{\"$not\":[", "]}"),
                    ("{\"$add\":[1,", "]}"),
                    ("{\"$and\":[true,", "]}"),
                    ("{\"$cond\":[true,", ",1]}"),
                    ("{\"$let\":{\"vars\":{\"x\":1},\"in\":", "}}"),
                    ("{\"$concatArrays\":[[1],", "]}"),
                    ("{\"$switch\":{\"branches\":[{\"case\":true,\"then\":", "}]}}"),
                    ("{\"$mergeObjects\":[\"$$ROOT\",", "]}"),
                    ("{\"a\":", "}"),
                    ("[", "]"),
                ]);
                let (core, depth) = (self.operand(), self.depth());
                nested(open, &core, close, depth)
            }
            5 => {
                let (name, item, width) = (self.pick(&LISTS), self.operand(), self.width());
                let width = width.min(1 + 500_000 / item.len());
                format!("{{\"{name}\":[{}]}}", vec![item; width].join(","))
            }
            6 => {
                let (name, input) = (self.pick(&["$map", "$filter"]), self.expression(level - 1));
                let (key, inner) = (if name == "$map" { "in" } else { "cond" }, level - 1);
                format!("{{\"{name}\":{{\"input\":{input},\"{key}\":{}}}}}", self.expression(inner))
            }
            7 => {
                let (input, inner) = (self.expression(level - 1), self.expression(level - 1));
                format!(
                    "{{\"$reduce\":{{\"input\":{input},\"initialValue\":0,\"in\":[\"$$value\",{inner}]}}}}"
                )
            }
            _ => {
                let name = self.pick(&LISTS);
                let items = self.some(3, |this| this.expression(level - 1));
                format!("{{\"{name}\":[{}]}}", items.join(","))
            }
        }
    }

    fn operand(&mut self) -> String {
        match self.below(4) {
            0 => self.value(1),
            1 => {
                self.pick(&["\"$$ROOT\"", "\"$$value\"", "\"$$this\"", "\"$$NOW\"", "\"$\""]).into()
            }
            2 => "\"$a\"".into(),
            _ => {
                let path = self.path().replace(['"', '\\'], "");
                format!("\"${path}\"")
            }
        }
    }

    /// Update operators, or a pipeline.
    pub(super) fn update(&mut self) -> String {
        if self.one_in(4) {
            let stages = self.some(4, |this| {
                let (name, path) =
                    (this.pick(&["$set", "$addFields", "$project"]), this.quoted_path());
                match this.below(4) {
                    0 => format!("{{\"$replaceWith\":{}}}", this.expression(2)),
                    1 => "{\"$replaceWith\":{\"a\":\"$$ROOT\"}}".to_owned(),
                    _ => format!("{{\"{name}\":{{{path}:{}}}}}", this.expression(3)),
                }
            });
            let times = if self.one_in(6) { self.depth().min(190) } else { 1 };
            return format!("[{}]", vec![stages.join(","); times].join(","));
        }
        let operators = self.some(3, |this| {
            let fields = this.some(2, Self::change);
            let name = this.pick(&[
                "$set",
                "$set",
                "$inc",
                "$mul",
                "$min",
                "$max",
                "$unset",
                "$rename",
                "$push",
                "$addToSet",
                "$pull",
                "$pullAll",
                "$pop",
                "$bit",
                "$currentDate",
                "$setOnInsert",
            ]);
            format!("\"{name}\":{}", object(fields))
        });
        object(operators)
    }

    /// The value of one field in an update operator.
    fn change(&mut self) -> String {
        let path = match self.below(3) {
            0 => self
                .pick(&[
                    "a.$[].100000",
                    "a.$[]",
                    "a.$",
                    "a.$[x]",
                    "a.$[x].b",
                    "a.$[].$[].$[]",
                    "a.200000",
                    "tags.$[].a.b",
                    "a.0.0.0.0",
                    "a.1499999",
                ])
                .to_owned(),
            _ => self.path(),
        };
        let path = super::quoted(&path);
        let value = match self.below(6) {
            0 => {
                let (each, slice, width) = (self.value(1), self.number(), self.width());
                let each = vec![each.clone(); width.min(1 + 1_000_000 / each.len())].join(",");
                format!("{{\"$each\":[{each}],\"$slice\":{slice},\"$sort\":1}}")
            }
            1 => format!("{{\"$each\":[1,2],\"$position\":{}}}", self.number()),
            2 => self.number(),
            3 => self.condition(1),
            4 => super::quoted(&self.path()),
            _ => self.value(2),
        };
        format!("{path}:{value}")
    }

    /// The stages of an aggregation.
    pub(super) fn pipeline(&mut self) -> String {
        let mut stages = self.some(4, Self::stage);
        match self.below(12) {
            0 => {
                let depth = self.depth().min(198);
                stages = vec!["{\"$replaceWith\":{\"_id\":1,\"a\":\"$$ROOT\"}}".to_owned(); depth];
            }
            1 => {
                let depth = self.depth();
                let inner = nested("{\"$facet\":{\"x\":[", "{\"$count\":\"n\"}", "]}}", depth);
                stages.push(inner);
            }
            2 => {
                let open = "{\"$unionWith\":{\"coll\":\"c0\",\"pipeline\":[";
                stages.push(nested(open, "{\"$limit\":2}", "]}}", self.depth().min(130)));
            }
            _ => {}
        }
        let collection = self.pick(&COLLECTIONS);
        if self.one_in(2) {
            stages.push(match self.below(4) {
                0 => format!("{{\"$out\":\"{collection}\"}}"),
                1 => {
                    let on = self.quoted_path();
                    format!("{{\"$merge\":{{\"into\":\"{collection}\",\"on\":{on}}}}}")
                }
                _ => {
                    let matched = self.pick(&["merge", "replace", "keepExisting", "fail"]);
                    format!(
                        "{{\"$merge\":{{\"into\":\"{collection}\",\"whenMatched\":\"{matched}\"}}}}"
                    )
                }
            });
        }
        format!("[{}]", stages.join(","))
    }

    fn stage(&mut self) -> String {
        let path = self.quoted_path();
        match self.below(16) {
            0 | 1 => format!("{{\"$match\":{}}}", self.filter()),
            2 | 3 => format!("{{\"$set\":{{{path}:{}}}}}", self.expression(3)),
            4 => format!("{{\"$project\":{}}}", self.projection()),
            5 | 6 => {
                let sum = self.pick(&[
                    "$sum",
                    "$avg",
                    "$push",
                    "$addToSet",
                    "$max",
                    "$mergeObjects",
                    "$stdDevPop",
                ]);
                let (key, value) = (self.expression(2), self.expression(2));
                format!("{{\"$group\":{{\"_id\":{key},\"x\":{{\"{sum}\":{value}}}}}}}")
            }
            7 => format!("{{\"$sort\":{}}}", self.sort()),
            8 => format!("{{\"$limit\":{}}}", self.number()),
            9 => format!("{{\"$unwind\":\"${}\"}}", self.path().replace(['"', '\\'], "")),
            10 => {
                let from = self.pick(&COLLECTIONS);
                format!(
                    "{{\"$lookup\":{{\"from\":\"{from}\",\"localField\":{path},\"foreignField\":\"a\",\
                     \"as\":\"l\"}}}}"
                )
            }
            11 => format!("{{\"$replaceWith\":{}}}", self.expression(2)),
            12 => {
                format!("{{\"$bucketAuto\":{{\"groupBy\":\"$a\",\"buckets\":{}}}}}", self.number())
            }
            13 => format!("{{\"$sample\":{{\"size\":{}}}}}", self.number()),
            14 => format!("{{\"$sortByCount\":{}}}", self.expression(2)),
            _ => format!("{{\"$unset\":{path}}}"),
        }
    }
}
