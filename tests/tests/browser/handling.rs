//! The handling of the page: what it loads, how it fits, and what mouse and keys do.

use jettra_tests::browser::Browser;
use jettra_tests::{Cluster, send, wait_until};
use serde_json::json;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const END: &str = "\u{e010}";
const UP: &str = "\u{e013}";
const DOWN: &str = "\u{e015}";

/// Requests and bytes of a first view, at most.
const REQUESTS_MAX: u64 = 19;
const BYTES_MAX: u64 = 150_000;

/// The files fetched until now, each URL once, including the document.
pub(crate) async fn loads_little(browser: &Browser, view: &str) {
    let fetched = browser
        .run(
            "const of = (type) => performance.getEntriesByType(type);
            const all = [...of('navigation'), ...of('resource')];
            const once = [...new Map(all.map((entry) => [entry.name, entry])).values()];
            const sum = (part) => once.reduce((sum, entry) => sum + entry[part], 0);
            return [once.length, sum('encodedBodySize'), sum('decodedBodySize')]",
            vec![],
        )
        .await;
    let (requests, bytes) = (fetched[0].as_u64(), fetched[1].as_u64());
    assert!(requests.is_some_and(|requests| requests <= REQUESTS_MAX), "{view}: {fetched}");
    assert!(bytes.is_some_and(|bytes| 0 < bytes && bytes <= BYTES_MAX), "{view}: {fetched}");
    assert!(bytes < fetched[2].as_u64().map(|plain| plain / 2), "{view}: {fetched}");
}

/// Ascending, descending, and in no order again.
pub(crate) async fn sorts_by_a_header(browser: &Browser) {
    browser.click("@sort[data-column=_id]").await;
    browser.see("th[aria-sort=ascending]").await;
    browser.see("@doc-row:first-child[data-id='1']").await;
    browser.click("@sort[data-column=_id]").await;
    browser.see("th[aria-sort=descending]").await;
    browser.see("@doc-row:first-child[data-id='25']").await;
    browser.click("@sort[data-column=_id]").await;
    browser.see_no("th[aria-sort]").await;
}

pub(crate) async fn opens_a_document_by_a_click_and_by_keys(browser: &Browser) {
    browser.see("@doc-row[data-id='2']").await;
    browser.click("@doc-row[data-id='2'] td:first-child").await;
    browser.see_text("@doc-dialog h2", "2").await;
    browser.click("@dialog-cancel").await;
    browser.see_no("@doc-dialog").await;
    browser.run("document.querySelector('[data-testid=doc-open]').focus()", vec![]).await;
    let focused = "return document.activeElement.textContent.trim()";
    for (key, id) in [(DOWN, "2"), (DOWN, "3"), (UP, "2"), (END, "10")] {
        browser.press(key).await;
        assert_eq!(browser.run(focused, vec![]).await, id);
    }
    browser.press(ENTER).await;
    browser.see_text("@doc-dialog h2", "10").await;
    browser.click("@dialog-cancel").await;
    browser.see_no("@doc-dialog").await;
    skips_to_the_content(browser).await;
}

/// The first link skips the navigation, and the address stays.
async fn skips_to_the_content(browser: &Browser) {
    let before = browser.run("document.activeElement.blur(); return location.hash", vec![]).await;
    browser.run("document.querySelector('[data-testid=skip-link]').focus()", vec![]).await;
    browser.press(ENTER).await;
    assert_eq!(browser.run("return document.activeElement.id", vec![]).await, "main");
    browser.press(TAB).await;
    let inside = "return document.getElementById('main').contains(document.activeElement)";
    assert_eq!(browser.run(inside, vec![]).await, true);
    assert_eq!(browser.run("return location.hash", vec![]).await, before);
}

pub(crate) async fn leaves_errors_where_they_were(browser: &Browser) {
    browser.fill("@find-id", "not there").await;
    browser.click("@find-submit").await;
    browser.see("@toast-error [data-code=document_not_found]").await;
    let hint = browser.see("@toast-error").await.text().await.expect("the browser answers");
    assert!(!hint.contains("id_type"), "{hint}");
    browser.click("@tab-indexes").await;
    browser.see_no("@toast-error").await;
    browser.click("@tab-documents").await;
    browser.see_no("@toast-error").await;
}

/// Unquoted keys, single quotes, a trailing comma; the position of a syntax error is shown.
pub(crate) async fn reads_a_filter_as_the_shell_writes_it(browser: &Browser) {
    browser.fill("@query-filter", "{_id: {$gt: 20, $ne: 'x'}, }").await;
    browser.click("@query-apply").await;
    browser.see_text("@query-info", "5 documents match").await;
    browser.see_count("@doc-row", 5).await;
    browser.fill("@query-filter", "{_id: {$gt: }").await;
    browser.click("@query-apply").await;
    browser.see_text("@query-filter-error", "at character 13").await;
    browser.click("@query-clear").await;
    browser.see_count("@doc-row", 10).await;
}

/// Nothing overflows, the navigation stays on one line, and fields are wide enough to type in.
pub(crate) async fn fits_at_every_width(browser: &Browser) {
    let faults = "const [width, theme] = arguments;
        const found = [];
        const root = document.documentElement;
        if (root.scrollWidth > width) found.push(`${root.scrollWidth} wide`);
        for (const link of document.querySelectorAll('.top nav a')) {
            if (link.getClientRects().length > 1 || link.offsetHeight > 45) found.push(link.textContent);
        }
        for (const bar of document.querySelectorAll('.top nav, .tabs')) {
            if (bar.scrollWidth > bar.clientWidth) found.push(`${bar.className} is cut`);
        }
        for (const field of document.querySelectorAll('.query input, textarea')) {
            if (field.offsetWidth < 110) found.push(`${field.name}: ${field.offsetWidth} wide`);
        }
        const light = Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 128;
        if (light !== (theme === 'light')) found.push('the other theme');
        return found";
    for page in ["cluster", "browse", "browse/shop/people", "console", "access", "audit"] {
        browser.run("location.hash = arguments[0]", vec![json!(format!("#/{page}"))]).await;
        browser.see("h1, h2").await;
        for width in [360, 740, 768, 800, 830, 1440] {
            for theme in ["light", "dark"] {
                browser.look(width, theme).await;
                wait_until(&format!("{page} fits at {width}, {theme}"), async || {
                    let found = browser.run(faults, vec![json!(width), json!(theme)]).await;
                    if found == json!([]) { Ok(()) } else { Err(found.to_string()) }
                })
                .await;
            }
        }
    }
    browser.look(1280, "light").await;
}

/// Notation that is accepted where JSON is asked for. The page parses it itself, with the same result
/// as the server in statements.
const NOTATION: [&str; 9] = [
    "{a: {b: 1}, 'c.d': \"x\", $e1: [1, 2, ], }",
    r#"{a: 'it\'s "so"', b: "it's\n"}"#,
    "{n: 9223372036854775807, f: .5, g: -5., h: +1e3, z: -0.25}",
    "{d: ISODate('2026-01-31T12:00:00Z'), o: new ObjectId('65a000000000000000000001')}",
    "{l: NumberLong('5'), i: NumberInt(7), m: NumberDecimal('1.50')}",
    "{x: NaN, y: -Infinity, t: true, u: null} // the end",
    "{ /* at first */ größe: 1, 1: 'one' }",
    "{t: Timestamp(1, 2), k: [MinKey, MaxKey(), Code('f()', {a: 1})], l: Int64('5')}",
    "{r: {of: /^a\\/b[/]/i, re: RegExp('x', 'm')}}",
];

pub(crate) async fn reads_values_as_the_server_does(browser: &Browser, cluster: &Cluster) {
    let http = cluster.nodes[1].http();
    let read = "const [text] = arguments;
        return Promise.all([import('/values/notation.js'), import('/values/json.js')])
            .then(([{ parseNotation }, { stringify }]) => stringify(parseNotation(text)))";
    for text in NOTATION {
        let json = browser.run(read, vec![json!(text)]).await;
        let json = json.as_str().expect("a text").to_owned();
        let command = json!({"command": format!("db.notation.insertOne({text}\n)")});
        let one = http.post("/api/command?db=shop", &command).await.ok().json();
        let path = "/api/v1/databases/shop/collections/notation/documents";
        let two = send(http.request("POST", path).body(json.clone())).await.ok().json();
        let mut both = Vec::new();
        for id in [&one["id"], &two["id"]] {
            let id = id.as_str().expect("an id");
            let mut found = http.get(&format!("{path}/{id}")).await.ok().json();
            found.as_object_mut().expect("a document").remove("_id");
            both.push(found);
        }
        assert_eq!(both[0], both[1], "{text} was read as {json}");
    }
}
