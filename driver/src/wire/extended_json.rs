//! Names of Extended JSON that clients and nodes share.

/// Calls that stand for a value in MongoDB's shell, such as `ISODate("…")`, and the key of
/// Extended JSON that means the same. `RegExp` has a value of its own form.
pub const VALUE_CALLS: [(&str, &str); 19] = [
    ("ISODate", "$date"),
    ("Date", "$date"),
    ("ObjectId", "$oid"),
    ("ObjectID", "$oid"),
    ("NumberLong", "$numberLong"),
    ("Long", "$numberLong"),
    ("NumberInt", "$numberInt"),
    ("Int32", "$numberInt"),
    ("NumberDecimal", "$numberDecimal"),
    ("Decimal128", "$numberDecimal"),
    ("Double", "$numberDouble"),
    ("UUID", "$uuid"),
    ("BinData", "$binary"),
    ("Int64", "$numberLong"),
    ("Decimal", "$numberDecimal"),
    ("Timestamp", "$timestamp"),
    ("MinKey", "$minKey"),
    ("MaxKey", "$maxKey"),
    ("Code", "$code"),
];
