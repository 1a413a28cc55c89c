//! `show openapi`: prints the description of the HTTP interface.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &["show openapi", "openapi"],
    help: "Print the OpenAPI document of the HTTP interface",
    driver: &["openapi"],
    parse: |_| action(ShowOpenApi),
    ..Command::READ
};

#[derive(Debug)]
struct ShowOpenApi;

impl Action for ShowOpenApi {
    async fn run(self, session: &mut Session) -> StatementResult {
        let answer = session.client.openapi().await?;
        Ok(Output::Report { text: format!("{answer:#}"), answer })
    }
}
