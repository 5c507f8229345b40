use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Running, installed};

/// nginx in a temporary directory, with what it is configured to serve. It ends when this is dropped.
pub struct Nginx {
    process: Option<Running>,
    directory: TempDir,
}

impl Nginx {
    /// Starts nginx with these `server` blocks, and waits until it listens; `None` where it is
    /// [not installed](installed).
    ///
    /// nginx cannot say which port it has been given, so its servers listen at Unix sockets, by names
    /// without a path: `listen unix:tls.sock ssl`.
    #[must_use]
    pub fn start(servers: &str) -> Option<Self> {
        let program = installed("nginx")?;
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, config(directory.path(), servers)).expect("it can be written");
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-c"]).arg(file);
        let mut process = Running::start(&mut command);
        // What it writes when its sockets are open.
        process.line_with("[notice]");
        Some(Self {
            process: Some(process),
            directory,
        })
    }

    /// The Unix socket of a server.
    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Has it read its files again.
    pub fn reload(&self) {
        let process = self.process.as_ref();
        let told = process.is_some_and(|process| process.signal("HUP"));
        assert!(told, "nginx has ended");
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers outlive a master that is killed.
        if let Some(process) = self.process.take()
            && process.signal("TERM")
        {
            let _ = process.finish();
        }
    }
}

/// Nothing of it lies outside its directory.
fn config(directory: &Path, servers: &str) -> String {
    let shown = directory.display();
    let servers = servers.replace("unix:", &format!("unix:{shown}/"));
    format!(
        "
daemon off;
worker_processes 1;
pid {shown}/nginx.pid;
error_log /dev/stdout notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {shown}/body;
    proxy_temp_path {shown}/proxy;
    fastcgi_temp_path {shown}/fastcgi;
    uwsgi_temp_path {shown}/uwsgi;
    scgi_temp_path {shown}/scgi;
    ssl_protocols TLSv1.3;
    ssl_verify_depth 3;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_verify_depth 3;
{servers}
}}
"
    )
}
