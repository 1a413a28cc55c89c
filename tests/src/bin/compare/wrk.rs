//! The generator of HTTP calls: `wrk`, with a script that puts numbers into a request.

use crate::process::run;
use crate::workload::{DATABASE, FIRST, GROUP, ID, Plan, SEQUENCE, Sample};
use jettra_tests::measure::Failure;
use std::fmt::Write;
use std::process::Command;

/// Where a thread of the generator sends its requests.
pub(crate) struct Target {
    /// The address of a node.
    pub(crate) address: String,
    /// What [`DATABASE`] stands for.
    pub(crate) database: String,
}

/// A request. [`ID`], [`GROUP`] and [`SEQUENCE`] in it stand for numbers that differ from call to
/// call, [`DATABASE`] for the database of the thread that sends it.
pub(crate) struct Request {
    /// Method and target.
    pub(crate) line: String,
    /// Headers besides host and length, each with its end of line.
    pub(crate) headers: String,
    /// The body.
    pub(crate) body: String,
    /// Bytes that every response has at least.
    pub(crate) response_bytes: usize,
}

impl Request {
    fn text(&self, address: &str) -> String {
        let mut text = format!("{} HTTP/1.1\r\nHost: {address}\r\n{}", self.line, self.headers);
        if !self.body.is_empty() {
            let length = self.body.len();
            let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        text + "\r\n" + &self.body
    }
}

/// An expression of Lua for a text that contains numbers.
fn expression(text: &str) -> String {
    let marks = [(ID, "id"), (GROUP, "group"), (SEQUENCE, "sequence"), (DATABASE, "database")];
    let first = marks.iter().filter_map(|(mark, name)| Some((text.find(mark)?, mark, name))).min();
    match first {
        Some((at, mark, name)) => {
            format!("{:?} .. {name} .. {}", &text[..at], expression(&text[at + mark.len()..]))
        }
        None => format!("{text:?}"),
    }
}

fn script(request: &Request, targets: &[Target], plan: &Plan) -> String {
    let last = FIRST + plan.documents - 1;
    let host = targets.first().map_or("", |target| &target.address);
    let table = targets.iter().map(|target| {
        let (node, port) = target.address.split_once(':').unwrap_or_default();
        format!("{{{node:?}, {port:?}, {:?}}}", target.database)
    });
    let table = table.collect::<Vec<_>>().join(", ");
    format!(
        "local targets = {{{table}}}\n\
         local threads = 0\n\
         setup = function(thread)\n\
           local target = targets[threads % #targets + 1]\n\
           thread.addr = wrk.lookup(target[1], target[2])[1]\n\
           thread:set('database', target[3])\n\
           thread:set('number', threads)\n\
           threads = threads + 1\n\
         end\n\
         local counter\n\
         init = function()\n\
           counter = {seed} + number * {SEQUENCES_EACH}\n\
           math.randomseed(counter)\n\
         end\n\
         request = function()\n\
           counter = counter + 1\n\
           local number = math.random({FIRST}, {last})\n\
           local id = string.format('%d', number)\n\
           local group = string.format('%d', math.floor(number / 10))\n\
           local sequence = string.format('%.0f', counter)\n\
           return {request}\n\
         end\n\
         done = function(summary, latency)\n\
           local e = summary.errors\n\
           io.write(string.format('RESULT %d %d %d %d %d %d\\n', summary.requests, summary.duration,\n\
             summary.bytes, e.connect + e.read + e.write + e.status + e.timeout,\n\
             latency:percentile(50), latency:percentile(99)))\n\
         end\n",
        seed = plan.sequence,
        request = expression(&request.text(host)),
    )
}

/// Numbers of [`SEQUENCE`] for each thread.
const SEQUENCES_EACH: u64 = 10_000_000;

/// Sends a request with changing numbers to an address, over as many connections as there are clients.
///
/// # Errors
/// If a response was not a success, or was missing, or the responses are too short.
pub(crate) fn measure(address: &str, request: &Request, plan: &Plan) -> Result<Sample, Failure> {
    let target = Target { address: address.to_owned(), database: String::new() };
    measure_each(&[target], 1, request, plan)
}

/// The same by `threads` that share the connections and take turns among the targets.
///
/// # Errors
/// Those of [`measure`].
pub(crate) fn measure_each(
    targets: &[Target],
    threads: usize,
    request: &Request,
    plan: &Plan,
) -> Result<Sample, Failure> {
    let address = targets.first().map(|target| target.address.clone()).ok_or("no target")?;
    let file = plan.dir.join("script.lua");
    std::fs::write(&file, script(request, targets, plan))?;
    let mut command = Command::new("wrk");
    let (clients, seconds) = (plan.clients, plan.seconds);
    command.args([format!("-t{threads}"), format!("-c{clients}"), format!("-d{seconds}s")]);
    command.args(["--timeout", "60s", "-s"]).arg(&file).arg(format!("http://{address}"));
    let output = run(&mut command)?;
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT ")).ok_or("no result")?;
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [operations, duration_us, bytes, errors, p50_us, p99_us] = numbers[..] else {
        return Err(format!("wrk printed {line}").into());
    };
    if errors > 0 || operations == 0 {
        return Err(format!("{errors} of {operations} calls failed: {}", request.line).into());
    }
    if bytes < operations * request.response_bytes as u64 {
        return Err(format!("{operations} responses of {bytes} bytes: {}", request.line).into());
    }
    Ok(Sample {
        operations,
        seconds: duration_us as f64 / 1e6,
        p50_ms: p50_us as f64 / 1e3,
        p99_ms: p99_us as f64 / 1e3,
        cpu_us: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_put_into_a_request() {
        let text = format!("a\r\n\"{ID}\"{SEQUENCE}");
        assert_eq!(expression(&text), r#""a\r\n\"" .. id .. "\"" .. sequence .. """#);
    }
}
