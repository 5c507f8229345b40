use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::command::Command;
use crate::core::Core;
use crate::directory::{self, SocketFile};
use crate::error::StartError;

const MAX_COMMAND_BYTES: u64 = 8 * 1024;
/// The status of an agent with a great many entries.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn bind(directory: &Path) -> Result<(UnixListener, SocketFile), StartError> {
    let path = directory.join("control.sock");
    let bound = directory::listen(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))
        .map_err(|error| StartError::directory(&path, error))?;
    Ok(bound)
}

/// Takes one line with a command per connection, and answers in text: `ok` or `error` in the first line.
pub(crate) async fn serve(
    listener: UnixListener,
    core: Arc<Core>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let (core, stop) = (Arc::clone(&core), stop.clone());
                tasks.spawn(async move {
                    let answered = tokio::time::timeout(PATIENCE, answer(stream, &core));
                    stop.run_until_cancelled(answered).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a control connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, core: &Core) -> std::io::Result<()> {
    let mut line = String::new();
    let (reader, _) = stream.split();
    // A line that is longer is cut, and then no command.
    BufReader::new(reader.take(MAX_COMMAND_BYTES))
        .read_line(&mut line)
        .await?;
    let told = match line.parse::<Command>() {
        Ok(command) => core
            .execute(&command)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let answer = match told {
        Ok(told) => format!("ok\n{told}\n"),
        Err(why) => format!("error\n{why}\n"),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Sends one command to the control socket of a running agent and returns what it tells.
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_devkit::ControlError> {
/// use spiffe_devkit::{Command, send_command};
///
/// print!("{}", send_command("/tmp/spiffe/control.sock".as_ref(), &Command::Status).await?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ControlError`] where no agent listens there, or the agent did not do it.
///
/// # Cancel safety
///
/// Where the future is dropped the agent may have done it or not.
pub async fn send_command(socket: &Path, command: &Command) -> Result<String, ControlError> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream
            .take(MAX_ANSWER_BYTES)
            .read_to_string(&mut answer)
            .await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match tokio::time::timeout(2 * PATIENCE, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            return Err(ControlError(format!(
                "no agent answers at {}: {error}",
                socket.display()
            )));
        }
        Err(_) => {
            return Err(ControlError(format!(
                "the agent at {} did not answer in time",
                socket.display()
            )));
        }
    };
    match answer.split_once('\n') {
        Some(("ok", told)) => Ok(told.to_owned()),
        Some(("error", why)) => Err(ControlError(why.trim_end().to_owned())),
        _ => Err(ControlError(format!(
            "what answers at {} is no agent",
            socket.display()
        ))),
    }
}

/// Why [`send_command`] did not succeed.
#[derive(Debug)]
pub struct ControlError(String);

impl std::fmt::Display for ControlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ControlError {}
