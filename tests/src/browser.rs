//! Headless Chromium, driven through `chromedriver` as a user would: find, fill, click, read.
//!
//! Selectors are CSS; `@name` in them stands for `[data-testid="name"]`.

use crate::{Http, free_port, wait_until};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const DRIVER: &str = "/usr/bin/chromedriver";
const BROWSER: &str = "/usr/bin/chromium";
/// No window, no sandbox (tests may run as root), and no calls home.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];
/// Sets the value of a field at once, as pasting does: the driver types no characters outside the
/// Basic Multilingual Plane.
const PASTE: &str = "const [field, text] = arguments; field.value = text;
    field.dispatchEvent(new Event('input', { bubbles: true }));";

const TO_THE_MIDDLE: &str = "arguments[0].scrollIntoView({ block: 'center' })";

/// A browser with one window. Dropping it kills the browser and its driver.
pub struct Browser {
    client: Client,
    driver: Driver,
}

struct Driver {
    process: Child,
    port: u16,
    profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty profile.
    ///
    /// # Panics
    /// If Chromium or its driver is not installed.
    pub async fn start() -> Browser {
        let driver = Driver::start().await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(driver.profile.path()))
            .connect(&driver.url())
            .await;
        let client = client.expect("chromedriver starts chromium");
        Browser { client, driver }
    }

    /// Ends the browser and waits until it has closed its files.
    pub async fn close(self) {
        self.client.close().await.expect("the browser ends");
    }

    /// Opens an address; one that differs from the current one only after `#` does not reload the page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
    }

    /// Waits until an element is on the page.
    pub async fn see(&self, selector: &str) -> Element {
        let css = css(selector);
        wait_until(&format!("{selector} is on the page"), async || {
            self.client.find(Locator::Css(&css)).await.map_err(text_of)
        })
        .await
    }

    /// Waits until `count` elements are on the page.
    pub async fn see_count(&self, selector: &str, count: usize) {
        let css = css(selector);
        wait_until(&format!("{count} × {selector} are on the page"), async || {
            let found = self.client.find_all(Locator::Css(&css)).await;
            match found.map_err(text_of)?.len() {
                found if found == count => Ok(()),
                found => Err(format!("{found} are")),
            }
        })
        .await;
    }

    /// Waits until no such element is on the page.
    pub async fn see_no(&self, selector: &str) {
        self.see_count(selector, 0).await;
    }

    /// Waits until an element contains a text.
    pub async fn see_text(&self, selector: &str, text: &str) {
        let css = css(selector);
        wait_until(&format!("{selector} shows {text:?}"), async || {
            let element = self.client.find(Locator::Css(&css)).await;
            let shown = element.map_err(text_of)?.text().await.map_err(text_of)?;
            if shown.contains(text) { Ok(()) } else { Err(shown) }
        })
        .await;
    }

    /// Clicks an element as soon as a click reaches it.
    pub async fn click(&self, selector: &str) {
        let css = css(selector);
        wait_until(&format!("{selector} can be clicked"), async || {
            let element = self.client.find(Locator::Css(&css)).await.map_err(text_of)?;
            let clicked = element.click().await;
            if clicked.is_err() {
                // The bar at the top may cover it; a user would scroll.
                let element = serde_json::to_value(&element).map_err(|error| error.to_string())?;
                self.client.execute(TO_THE_MIDDLE, vec![element]).await.map_err(text_of)?;
            }
            clicked.map_err(text_of)
        })
        .await;
    }

    /// Replaces the value of a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.see(selector).await;
        let element = serde_json::to_value(&element).expect("a reference to an element");
        self.run(PASTE, vec![element, text.into()]).await;
    }

    /// Types keys into the focused element.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("the browser answers");
        focused.send_keys(keys).await.expect("keys can be typed");
    }

    /// Sets the width of the page and the theme of the system, `light` or `dark`.
    pub async fn look(&self, width: u32, theme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size).await;
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features})).await;
    }

    /// Clears the cache.
    pub async fn forget_files(&self) {
        self.devtools("Network.clearBrowserCache", &json!({})).await;
    }

    /// A command of the Chrome DevTools protocol.
    async fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.drive("goog/cdp/execute", &body).await;
    }

    /// A call to the driver that the client lacks; returns its answer.
    async fn drive(&self, path: &str, body: &Value) -> Value {
        let session = self.client.session_id().await.expect("the browser answers");
        let path = format!("/session/{}/{path}", session.expect("a session"));
        let answer = Http::new(&self.driver.url()).post(&path, body).await.ok();
        answer.json()["value"].clone()
    }

    /// The value of a field.
    pub async fn value(&self, selector: &str) -> String {
        let value = self.see(selector).await.prop("value").await;
        value.expect("the browser answers").expect("a field")
    }

    /// Runs JavaScript in the page and returns its result.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let result = self.client.execute(script, arguments).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The messages of the console since the last call: errors and warnings of the page, and
    /// violations of its content security policy. Error answers of the server are left out, because
    /// many are expected.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.drive("se/log", &json!({"type": "browser"})).await;
        let log = log.as_array().expect("a log");
        log.iter()
            .filter(|entry| entry["source"] != "network")
            .map(|entry| entry["message"].to_string())
            .collect()
    }
}

impl Driver {
    async fn start() -> Driver {
        for program in [DRIVER, BROWSER] {
            let installed = Path::new(program).is_file();
            assert!(installed, "{program} is missing: apt-get install chromium chromium-driver");
        }
        let port = free_port();
        let process = Command::new(DRIVER)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver can be started");
        let profile = tempfile::Builder::new()
            .prefix("jettra-test-chromium-")
            .tempdir()
            .expect("a temporary folder");
        let driver = Driver { process, port, profile };
        wait_until("chromedriver is ready", async || {
            Http::new(&driver.url()).try_get("/status").await
        })
        .await;
        driver
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process of the browser, as the lock of its profile names it: `<host>-<process>`.
    fn browser(&self) -> Option<String> {
        let lock = std::fs::read_link(self.profile.path().join("SingletonLock")).ok()?;
        let (_, process) = lock.to_str()?.rsplit_once('-')?;
        Some(process.to_owned())
    }
}

impl Drop for Driver {
    /// Killing the driver would leave the browser running, so the browser is killed first.
    fn drop(&mut self) {
        if let Some(browser) = self.browser() {
            let killed = Command::new("kill").args(["-s", "KILL", &browser]).status();
            killed.expect("kill runs");
        }
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a killed child ends");
    }
}

fn capabilities(profile: &Path) -> fantoccini::wd::Capabilities {
    let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    let capabilities = json!({
        "goog:chromeOptions": {"binary": BROWSER, "args": arguments},
        "goog:loggingPrefs": {"browser": "WARNING"},
    });
    capabilities.as_object().expect("an object").clone()
}

/// A selector with every `@name` expanded.
fn css(selector: &str) -> String {
    let mut parts = selector.split('@');
    let mut css = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        css += &format!("[data-testid=\"{name}\"]{rest}");
    }
    css
}

/// An error of the driver in one line.
fn text_of(error: CmdError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
