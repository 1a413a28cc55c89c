//! The shell in scripts and at a terminal: statements, output, exit codes, development clusters.

use jettra_tests::{ADMIN, Bed, Cluster, PASSWORD, Terminal, free_port, free_ports, program};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The exit code and the outputs of a run of the shell.
struct ShellRun {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the shell with these arguments and this input.
async fn jettra(dir: &Path, password: Option<&str>, arguments: &[&str], input: &str) -> ShellRun {
    let mut command = Command::new(program("jettra"));
    command.args(arguments).current_dir(dir).env("HOME", dir).env_remove("JETTRA_URL");
    match password {
        Some(password) => command.env("JETTRA_PASSWORD", password),
        None => command.env_remove("JETTRA_PASSWORD"),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the shell starts");
        let mut stdin = child.stdin.take().expect("its input");
        // A shell that does not read its standard input closes it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the shell ends")
    });
    let output = running.await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ShellRun { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs one statement on the first node of a cluster and returns its output as JSON.
async fn statement(cluster: &Cluster, text: &str) -> Value {
    let url = cluster.nodes[0].url();
    let arguments = ["--url", &url, "-m", "json", "-q", "-y", "-e", text];
    let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, "").await;
    assert_eq!(ended.code, Some(0), "{text}: {} {}", ended.out, ended.err);
    serde_json::from_str(&ended.out).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_give_json_and_a_script_runs_from_the_input() {
    let cluster = Cluster::start("shell-statements", 2).await;
    let url = cluster.nodes[1].url();
    let script = "create db shop\nuse shop\ncreate col users\n\
                  insert users {\"_id\": \"ada\", \"born\": 1815}\ninsert users {\"_id\": 7}\n\
                  .level session\ncount users\n";
    let arguments = ["--url", url.as_str(), "-m", "ndjson"];
    let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, script).await;
    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    assert!(ended.out.contains("\"ada\"") && ended.out.contains('2'), "{}", ended.out);
    let client = cluster.client();
    let users = client.collection::<Value>("shop", "users");
    assert_eq!(users.count().await.expect("a count"), 2);
    // EXPLAIN changes nothing.
    for (text, stage) in [
        ("count users {\"born\": 1815} --explain", "COUNT"),
        ("distinct users born --explain", "COLLSCAN"),
        ("update users {} {\"$set\": {\"x\": 1}} --explain", "UPDATE"),
        ("update users ada {\"$set\": {\"x\": 1}} --explain", "UPDATE"),
        ("delete users {} --analyze", "DELETE"),
        ("explain delete from users", "DELETE"),
    ] {
        let arguments = ["--url", &url, "-m", "json", "-q", "-e", "use shop", "-e", text];
        let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, "").await;
        let plan: Value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|_| panic!("{text}: {} {}", ended.out, ended.err));
        assert_eq!(plan["queryPlanner"]["winningPlan"]["stage"], stage, "{text}: {plan}");
    }
    assert_eq!(users.count_matching(json!({"x": null})).await.expect("a count"), 2);
    let one = jettra(
        cluster.bed.dir(),
        Some(PASSWORD),
        &["--url", &url, "-m", "json", "-q", "-e", "use shop", "-e", "get users ada"],
        "",
    )
    .await;
    let found: Value = serde_json::from_str(&one.out).unwrap_or_else(|_| panic!("{}", one.out));
    let found = found.as_array().map_or(&found, |list| &list[0]);
    assert_eq!(*found, json!({"_id": "ada", "born": 1815}));
}

#[tokio::test(flavor = "multi_thread")]
async fn federated_nodes_lists_the_members_as_the_document_says() {
    let cluster = Cluster::start("shell-nodes", 2).await;
    for command in ["federated nodes", "cluster nodes"] {
        let nodes = statement(&cluster, command).await;
        let names: Vec<_> =
            nodes.as_array().expect("a list").iter().map(|node| &node["node"]).collect();
        assert_eq!(names, ["node1", "node2"], "{nodes}");
    }
    let status = statement(&cluster, "show cluster").await;
    assert_eq!(status["view"]["from"], status["leaderId"], "{status}");
    let status = statement(&cluster, "cluster status").await;
    assert_eq!((&status["known_by"], status["note"].is_null()), (&status["leader"], true));
    let extra = cluster.bed.node("node3", jettra_tests::Settings::new(jettra_tests::Role::Waiting));
    let mut cluster = cluster;
    cluster.nodes.push(extra);
    cluster.nodes[2].start();
    cluster.wait_health(2, "waiting").await;
    let url = cluster.nodes[2].url();
    statement(&cluster, &format!("cluster add {url}")).await;
    cluster.wait_active(3).await;
    statement(&cluster, "cluster stop node3").await;
    assert_eq!(cluster.nodes[2].wait_exit().await.code(), Some(0));
    statement(&cluster, "cluster remove node3").await;
    cluster.wait_active(2).await;

    // Without a majority the output names what is missing and shows what is known.
    cluster.nodes[1].kill();
    let dir = cluster.bed.dir().to_owned();
    let shell = format!("{} --url {}", program("jettra").display(), cluster.nodes[0].url());
    let mut person = Terminal::start(&shell, |command| {
        command.env("HOME", &dir).env("JETTRA_PASSWORD", PASSWORD).current_dir(&dir);
    });
    person.line("show dbs");
    person.sees("Waiting for a leader: no leader; 1 of 2 answers").await;
    cluster.nodes[1].start();
    person.sees("_system").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_distinguish_errors() {
    let cluster = Cluster::start("shell-codes", 1).await;
    let (dir, url) = (cluster.bed.dir(), cluster.nodes[0].url());
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let cases: [(Option<i32>, Option<&str>, Vec<&str>); 7] = [
        (Some(0), Some(PASSWORD), vec!["--url", &url, "-e", "show dbs"]),
        (Some(1), Some(PASSWORD), vec!["--url", &url, "-e", "use nowhere"]),
        (Some(1), Some(PASSWORD), vec!["--url", &url, "-e", "frobnicate"]),
        (Some(2), Some(PASSWORD), vec!["--nonsense"]),
        (Some(3), Some(PASSWORD), vec!["--url", &nobody, "-e", "show dbs"]),
        (Some(4), Some("wrong-password"), vec!["--url", &url, "-e", "show dbs"]),
        (Some(4), None, vec!["--url", &url, "-e", "show dbs"]),
    ];
    for (code, password, arguments) in cases {
        let ended = jettra(dir, password, &arguments, "").await;
        assert_eq!(ended.code, code, "{arguments:?}: {} {}", ended.out, ended.err);
        assert_eq!(ended.err.is_empty(), code == Some(0), "{arguments:?}: {}", ended.err);
        let said =
            ended.err.contains("no connection to") && ended.err.contains("Is a node running");
        assert_eq!(said, code == Some(3), "{arguments:?}: {}", ended.err);
    }
}

/// Users and API keys without a terminal: passwords and keys are read from files.
#[tokio::test(flavor = "multi_thread")]
async fn users_and_keys_are_managed_from_scripts() {
    let cluster = Cluster::start("shell-users", 2).await;
    let (dir, url) = (cluster.bed.dir(), cluster.nodes[1].url());
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), format!("{text}\n")).expect("a file is written");
    };
    file("ada.txt", "adas-own-password");
    file("ada2.txt", "adas-other-password");
    let run = async |arguments: &[&str], code: i32| {
        let arguments = [&["--url", &url, "-m", "json", "-y"], arguments].concat();
        let ended = jettra(dir, Some(PASSWORD), &arguments, "").await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {} {}", ended.out, ended.err);
        ended
    };
    let admin = async |text: &str| -> Value {
        let ended = run(&["-e", text], 0).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{text}: {}", ended.out))
    };
    let refused = async |text: &str| run(&["-e", text], 1).await.err;

    admin("create db shop").await;
    let error = refused("create user ada").await;
    assert!(error.contains("--password-file"), "{error}");
    admin("create user ada --databases shop --password-file ada.txt").await;
    let error = refused("create user ada --password-file ada.txt").await;
    assert!(error.contains("alter user"), "{error}");
    let users = admin("show users").await;
    assert_eq!(users[0]["username"], "ada", "{users}");
    assert_eq!((&users[0]["role"], &users[0]["allowed_dbs"]), (&json!("reader"), &json!(["shop"])));

    let ada = ["--user", "ada", "--password-file", "ada.txt"];
    let who = run(&[&ada[..], &["-e", "whoami"]].concat(), 0).await;
    let who: Value = serde_json::from_str(&who.out).expect("JSON");
    assert_eq!(who["allowed_dbs"], json!(["shop"]), "{who}");
    let made = run(&[&ada[..], &["-e", "create key ci --days 1"]].concat(), 0).await;
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let secret = made["token"].as_str().expect("a secret");
    file("key.txt", secret);
    let key = |text: &'static str| ["--api-key-file", "key.txt", "-e", "use shop", "-e", text];
    run(&key("show collections"), 0).await;
    run(&key("create col c"), 1).await;
    run(&key("show users"), 1).await;
    admin("alter user ada --grant shop=writereader --password-file ada2.txt").await;
    run(&[&ada[..], &["-e", "whoami"]].concat(), 4).await;
    run(&key("create col c"), 0).await;
    let tokens = admin("show tokens").await;
    let tokens = tokens.as_array().expect("a list");
    let token = tokens.iter().find(|token| token["name"] == "ci").expect("the key");
    assert!(!json!(tokens).to_string().contains(secret), "{tokens:?}");
    assert!(admin("alter user ada --disable").await["status"].is_string());
    run(&key("show dbs"), 4).await;
    admin("alter user ada --enable --grant shop=none").await;
    assert_eq!(admin("show user ada").await["grants"], json!({}));
    run(&key("show collections"), 0).await;
    admin(&format!("revoke token {}", token["id"].as_str().expect("an id"))).await;
    run(&key("show dbs"), 4).await;
    assert!(refused(&format!("revoke token {secret}")).await.contains("show tokens"));
    admin("drop user ada").await;
    assert!(refused("show user ada").await.contains("show users"));
    assert!(refused(&format!("alter user {ADMIN} --disable")).await.contains("admin"));

    let actions = |entries: Value| -> Vec<String> {
        let entries = entries.as_array().expect("a list").clone();
        entries.iter().map(|entry| entry["action"].as_str().expect("a text").to_owned()).collect()
    };
    let all = actions(admin("show audit").await);
    for action in ["user_create", "user_update", "user_delete", "token_create", "token_revoke"] {
        assert!(all.iter().any(|done| done == action), "{action}: {all:?}");
    }
    let creations = admin("show audit --action user_create").await;
    let outcomes = creations.as_array().expect("a list").iter().map(|entry| &entry["outcome"]);
    assert_eq!(outcomes.collect::<Vec<_>>(), ["user_exists", "ok"], "{creations}");
    assert_eq!(actions(admin("show audit --limit 2").await).len(), 2);

    let made = admin("cluster token --hours 2").await;
    let command = made["command"].as_str().expect("a command");
    let token = made["token"].as_str().expect("a token");
    let leader = cluster.nodes[0].url();
    assert!(command.starts_with("jettradb --distributed "), "{command}");
    assert!(command.contains(&format!("--peers {leader} --join-token {token}")), "{command}");
    for node in &cluster.nodes {
        assert!(!node.log().contains(secret) && !node.log().contains("adas-own"), "{}", node.name);
    }
}

/// A cluster of one node with these documents in `shop.people`.
async fn with_people(name: &str, documents: std::ops::RangeInclusive<u64>) -> Cluster {
    let cluster = Cluster::start(name, 1).await;
    let people: Vec<Value> = documents
        .map(|id| json!({"_id": id, "name": format!("n{id}"), "age": id, "home": {"city": "Lima"}}))
        .collect();
    let client = cluster.client();
    client.create_database("shop").await.expect("a database");
    let collection = client.collection::<Value>("shop", "people");
    collection.insert_many(&people).await.expect("documents");
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_a_limit_prints_everything_to_a_pipe() {
    let cluster = with_people("shell-all", 1..=2500).await;
    let url = cluster.nodes[0].url();
    let listed = async |mode: &str, text: &str| {
        let arguments = ["--url", &url, "--db", "shop", "-m", mode, "-e", text];
        let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, "").await;
        assert_eq!(ended.code, Some(0), "{text}: {}", ended.err);
        ended.out
    };
    let statements = [
        ("SELECT * FROM people", 2500),
        ("SELECT name FROM people WHERE age > 10 ORDER BY age DESC", 2490),
        ("FIND IN people", 2500),
        ("db.people.find()", 2500),
        ("find people", 2500),
        ("find people {age: {$lte: 1500}} --sort -age", 1500),
        ("SELECT * FROM people LIMIT 1700", 1700),
        ("db.people.find().limit(3)", 3),
        ("SELECT * FROM people WHERE age < 0", 0),
    ];
    for (text, rows) in statements {
        let all: Value = serde_json::from_str(&listed("json", text).await).expect("one array");
        assert_eq!(all.as_array().map(Vec::len), Some(rows), "{text}");
        assert_eq!(listed("ndjson", text).await.lines().count(), rows, "{text}");
    }
    let table = listed("table", "SELECT _id FROM people").await;
    assert_eq!(table.lines().count(), 2500 + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn common_first_attempts_work_or_get_a_helpful_error() {
    let cluster = with_people("shell-first", 1..=3).await;
    let (dir, url) = (cluster.bed.dir(), cluster.nodes[0].url());
    let run = async |arguments: &[&str], input: &str| {
        let arguments = [&["--url", &url], arguments].concat();
        jettra(dir, Some(PASSWORD), &arguments, input).await
    };
    let ok = async |arguments: &[&str]| -> Value {
        let ended = run(arguments, "").await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{arguments:?}");
        serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{arguments:?}: {}", ended.out))
    };
    let refused = async |arguments: &[&str]| {
        let ended = run(arguments, "").await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.out);
        ended.err
    };

    // A statement as arguments, the database as a flag or before the collection, and one JSON value
    // for `jq`.
    assert!(ok(&["show", "dbs"]).await.to_string().contains("shop"));
    assert!(ok(&["cluster", "token"]).await["token"].is_string());
    let ada = json!([{"_id": 2, "name": "n2", "age": 2, "home": {"city": "Lima"}}]);
    let filters: [&[&str]; 8] = [
        &["--db", "shop", "find", "people", "{name: 'n2'}"],
        &["find", "shop.people", "{\"name\": \"n2\"}"],
        &["--db", "shop", "find", "shop.people", "{age: {$gt: 1, $lt: 3}}"],
        &["-e", "use shop", "-e", "find people {_id: 2,}"],
        &["-e", "use shop; find people {_id: 2}"],
        &["-e", "SELECT * FROM shop.people WHERE age = 2"],
        &["--db", "shop", "find in people donde age = 2"],
        &["--db", "shop", "-e", "/* all */ db.people.find({name: /^N2/i})"],
    ];
    for arguments in filters {
        assert_eq!(ok(arguments).await, ada, "{arguments:?}");
    }
    ok(&["create", "db", "old", "engine", "JettraBasicStore"]).await;
    let help = run(&["help", "find"], "").await;
    assert!(help.out.starts_with("find <collection>"), "{}", help.out);

    // An update that may have been meant as a replacement is refused, and the error names both forms.
    let shop = |words: &[&'static str]| [&["--db", "shop"], words].concat();
    let error = refused(&shop(&["update", "people", "1", "{age: 9}"])).await;
    assert!(error.contains("replace people 1 {\"age\":9}"), "{error}");
    assert!(error.contains("update people 1 {\"$set\": {\"age\":9}}"), "{error}");
    ok(&shop(&["update", "people", "1", "{$set: {age: 9}}"])).await;
    assert_eq!(ok(&shop(&["get", "people", "1"])).await["name"], "n1");
    ok(&shop(&["replace", "people", "1", "{age: 10}"])).await;
    assert_eq!(ok(&shop(&["get", "people", "1"])).await, json!({"_id": 1, "age": 10}));

    // A number as id means the string if only that exists, and a filter means all matching documents.
    ok(&shop(&["insert", "people", "[{_id: '7'}, {_id: '8'}, {_id: 8}]"])).await;
    ok(&shop(&["delete", "people", "7"])).await;
    ok(&shop(&["delete", "people", "8"])).await;
    assert_eq!(ok(&shop(&["get", "people", "8"])).await, json!({"_id": "8"}));
    let error = refused(&shop(&["delete", "people", "7"])).await;
    assert!(error.contains("no document with _id 7"), "{error}");
    assert_eq!(ok(&shop(&["delete", "people", "{_id: {$lte: 2}}"])).await["deleted"], 2);
    assert_eq!(ok(&shop(&["delete", "people", "{}", "--one"])).await["deleted"], 1);
    // Scripts are not asked for confirmation.
    assert_eq!(ok(&shop(&["DELETE FROM people"])).await["deleted"], 1);

    // Typing errors.
    let slips = [
        ("fnid people", "did you mean find?"),
        ("SELEC * FROM people", "did you mean SELECT?"),
        ("SELECT * FORM people", "Did you mean FROM?"),
        ("SELECT * FROM people WHER age = 1", "Did you mean WHERE?"),
        ("find poeple", "Did you mean people?"),
        ("show collection", "did you mean show collections?"),
        ("?? people", "type help for the list"),
    ];
    for (text, expected) in slips {
        let error = refused(&["--db", "shop", text]).await;
        assert!(error.contains(expected) && !error.contains("??\"; did"), "{text}: {error}");
        assert!(!error.contains("POST /"), "{text}: {error}");
    }
    let script = "\u{feff}use shop\n// a comment\n/* another */ count people\n";
    let ended = run(&["-m", "line"], script).await;
    assert_eq!((ended.code, &*ended.out), (Some(0), "Using database shop.\nCount: 0\n"));
}

/// A golden script: `> statement`, and below it the whole error of the shell.
#[tokio::test(flavor = "multi_thread")]
async fn errors_name_statements_of_the_shell() {
    let cluster = with_people("shell-hints", 1..=1).await;
    let url = cluster.nodes[0].url();
    let path = jettra_tests::source::root().join("tests/shell/hints.txt");
    let script = std::fs::read_to_string(path).expect("the script");
    let mut steps = script.split("\n> ").skip(1).peekable();
    assert!(steps.peek().is_some(), "the script was not understood");
    for step in steps {
        let (statement, expected) = step.split_once('\n').expect("an error");
        let arguments = ["--url", &url, "--yes", "-e", statement];
        let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, "").await;
        assert_eq!(ended.err.trim_end(), expected.trim_end(), "{statement}");
    }
}

/// A node with 60 people, and a shell at a terminal that uses their database.
async fn at_a_terminal(name: &str) -> (Cluster, Terminal) {
    let cluster = with_people(name, 1..=60).await;
    let dir = cluster.bed.dir().to_owned();
    std::fs::write(dir.join("pager.sh"), "echo PAGER; cat\n").expect("a file");
    let shell = format!("{} --url {}", program("jettra").display(), cluster.nodes[0].url());
    let mut person = Terminal::start(&shell, |command| {
        command.env("HOME", &dir).env("JETTRA_PASSWORD", PASSWORD).current_dir(&dir);
        command.env("PAGER", "sh pager.sh").env_remove("JETTRA_URL");
    });
    person.line("use shop");
    person.sees("Using database shop.").await;
    (cluster, person)
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_changes_of_all_or_many_documents_need_confirmation() {
    let (cluster, mut person) = at_a_terminal("shell-confirms").await;
    let client = cluster.client();
    let people = client.collection::<Value>("shop", "people");
    // In every language; changes of few documents do not need it.
    let questions = [
        ("DELETE FROM people;", "This deletes all 60 documents of people. Go on? (y/n)"),
        ("db.people.deleteMany({})", "This deletes all 60 documents of people. Go on? (y/n)"),
        ("UPDATE people SET age = 0;", "This changes all 60 documents of people. Go on? (y/n)"),
        ("update people {} {$set: {age: 0}}", "This changes all 60 documents"),
        ("bulk people [{deleteMany: {filter: {}}}]", "This deletes all 60 documents"),
        ("delete people {age: {$gt: 50}}", "This deletes 10 documents of people. Go on? (y/n)"),
        ("DELETE FROM people WHERE age > 50", "This deletes 10 documents of people"),
    ];
    for (text, question) in questions {
        person.line(text);
        person.sees(question).await;
        person.line("n");
        person.sees("not confirmed; nothing was changed").await;
    }
    assert_eq!(people.count().await.expect("a count"), 60);
    person.line("delete people {age: {$gt: 50}}");
    person.sees("Go on? (y/n)").await;
    person.line("y");
    person.sees("10 deleted.").await;
    person.line("delete people {_id: {$in: [49, 50]}}");
    let seen = person.sees("2 deleted.").await;
    assert!(!seen.contains("Go on?"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_results_are_shown_page_by_page() {
    let (_cluster, mut person) = at_a_terminal("shell-pages").await;
    // A page, the prompt, and `more`; long output goes through the pager.
    person.line("SELECT * FROM people ORDER BY _id");
    let seen = person.sees("; type more, or more all)").await;
    assert!(seen.contains("n17") && !seen.contains("n18") && !seen.contains("PAGER"), "{seen}");
    person.line("count people");
    person.sees("Count: 60").await;
    person.line("more");
    let seen = person.sees("; type more, or more all)").await;
    assert!(seen.contains("n18") && seen.contains("n34") && !seen.contains("n35"), "{seen}");
    person.line("more all");
    let seen = person.sees("(26 rows").await;
    assert!(seen.contains("n35") && seen.contains("n60"), "{seen}");
    person.line("more");
    person.sees("there is no more of the last listing").await;
    person.line(".mode line");
    person.line("find people");
    person.sees("PAGER").await;
    person.sees("; type more, or more all)").await;
    person.line(".mode table");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_names_are_completed_and_statements_are_pasted() {
    let (_cluster, mut person) = at_a_terminal("shell-completes").await;
    // Names of fields, keywords of SQL and values of flags are completed.
    person.keys("find people {na\t");
    person.sees("{name").await;
    person.line(": 'n7'}");
    person.sees("(1 row").await;
    person.keys("find people {home.c\t");
    person.sees("{\"home.city\"").await;
    person.line(": 'Quito'}");
    person.sees("(0 rows").await;
    person.keys("find people {\"na\t");
    person.sees("{\"name\"").await;
    person.line(": 'n7'}");
    person.sees("(1 row").await;
    person.keys("SELECT name FROM people WHER\t");
    person.sees("WHERE").await;
    person.keys("home.c\t");
    person.sees("home.city").await;
    person.line("= 'Quito'");
    person.sees("(0 rows").await;
    person.line("find poeple");
    person.sees("Did you mean people?").await;

    // Two pasted statements are two, one over several lines is one.
    person.paste("count people\ncount people {age: 1}");
    person.sees("Count: 60").await;
    person.sees("Count: 1").await;
    person.paste("SELECT COUNT(*) AS n FROM people\nWHERE age <= 2");
    person.sees("│ 2 ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_a_node_that_does_not_respond_is_named() {
    let (mut cluster, mut person) = at_a_terminal("shell-waits").await;
    // After a second if it hangs, at once if it is down.
    cluster.nodes[0].signal("STOP");
    person.line("count people");
    person.sees("Waiting for a node: ").await;
    person.sees("does not answer").await;
    cluster.nodes[0].signal("CONT");
    person.sees("Count: 60").await;
    cluster.nodes[0].kill();
    person.line("count people");
    person.sees("no connection to ").await;
    person.sees("Is a node running there?").await;
    person.line("exit");
    person.sees("Goodbye!").await;
}

/// Stops the development cluster even if the test fails.
struct Down<'d>(&'d Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let stopped =
            Command::new(program("jettra")).args(["dev", "down"]).current_dir(self.0).output();
        drop(stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_cluster_is_started_tested_and_stopped() {
    let bed = Bed::new("shell-dev").await;
    let port = free_ports(3).to_string();
    let _down = Down(bed.dir());
    let run = async |arguments: &[&str]| {
        let ended = jettra(bed.dir(), None, arguments, "").await;
        (ended.code, ended.out, ended.err)
    };
    let ok = async |arguments: &[&str]| {
        let (code, out, err) = run(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {out} {err}");
        out
    };
    let up = ok(&["dev", "up", "3", "--port", &port]).await;
    assert!(up.contains("node3") && up.contains("ACTIVE"), "{up}");
    let ps = ok(&["dev", "ps"]).await;
    assert_eq!(ps.matches("running").count(), 3, "{ps}");
    let test = ok(&["dev", "test"]).await;
    assert!(test.contains("All checks passed.") && !test.contains("FAILED"), "{test}");
    assert!(ok(&["dev", "logs", "node1", "--no-follow"]).await.contains("node1"));
    assert_eq!(ok(&["dev", "logs", "node1", "-n", "1"]).await.lines().count(), 1);
    ok(&["dev", "restart"]).await;
    assert!(ok(&["dev", "test"]).await.contains("All checks passed."));
    assert_eq!(run(&["dev", "destroy"]).await.0, Some(1), "a running cluster is not removed");
    ok(&["dev", "down"]).await;
    let ps = ok(&["dev", "ps"]).await;
    assert_eq!(ps.matches("stopped").count(), 3, "{ps}");
    for node in ["node1", "node2", "node3"] {
        let log = std::fs::read_to_string(bed.dir().join(format!("dev-cluster/logs/{node}.log")));
        let log = log.expect("a log");
        assert!(!log.contains("raft stopped"), "an orderly end is no error: {log}");
    }
    ok(&["dev", "destroy"]).await;
    assert!(!bed.dir().join("dev-cluster").exists());
    assert_eq!(run(&["dev", "ps"]).await.0, Some(2), "there is no cluster any more");
}
