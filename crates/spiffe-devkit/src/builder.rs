use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::Agent;
use crate::authority::Authority;
use crate::control;
use crate::core::{Core, Listener};
use crate::directory::{self, Directory, SocketFile};
use crate::entry::Entry;
use crate::error::StartError;
use crate::log::Log;
use crate::server::{Server, Socket};
use crate::state::{Federation, State};
use crate::trust_domain::TrustDomainSpec;

/// Declares an [`Agent`]: trust domains, listeners and entries.
///
/// Nothing is checked before [`start`](Self::start), so that the order does not matter.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_devkit::AgentBuilder;
///
/// let agent = AgentBuilder::from_file("dev-agent.yaml")?.control().start().await?;
/// for (name, endpoint) in agent.endpoints() {
///     println!("{name}: {endpoint}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "an agent that is not started does nothing"]
pub struct AgentBuilder {
    pub(crate) trust_domains: Vec<TrustDomainSpec>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) listeners: Vec<ListenerSpec>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) has_control: bool,
}

#[derive(Debug)]
pub(crate) struct ListenerSpec {
    pub(crate) name: String,
    pub(crate) address: Address,
}

#[derive(Debug)]
pub(crate) enum Address {
    InDirectory,
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl AgentBuilder {
    /// Adds a trust domain with an authority of its own.
    pub fn trust_domain(mut self, trust_domain: TrustDomainSpec) -> Self {
        self.trust_domains.push(trust_domain);
        self
    }

    /// Adds an entry. A caller gets its SVIDs in the order in which the entries were added.
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Listens at `NAME.sock` in the agent's directory.
    pub fn unix(self, name: impl Into<String>) -> Self {
        self.listener(name, Address::InDirectory)
    }

    /// Listens at this path. Its directory is made with the mode 0700, or has to be closed to others.
    pub fn unix_at(self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.listener(name, Address::Unix(path.into()))
    }

    /// Listens on a free TCP port of 127.0.0.1.
    pub fn tcp(self, name: impl Into<String>) -> Self {
        self.tcp_at(name, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Listens at this TCP address, which has to be one of the loopback interface: there is nothing
    /// else that would tell callers apart.
    pub fn tcp_at(self, name: impl Into<String>, address: SocketAddr) -> Self {
        self.listener(name, Address::Tcp(address))
    }

    /// Keeps sockets in this directory instead of a temporary one. It is made with the mode 0700, or
    /// has to be closed to others; it stays when the agent stops.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Takes [`Command`](crate::Command)s at `control.sock` in the agent's directory.
    pub fn control(mut self) -> Self {
        self.has_control = true;
        self
    }

    fn listener(mut self, name: impl Into<String>, address: Address) -> Self {
        self.listeners.push(ListenerSpec {
            name: name.into(),
            address,
        });
        self
    }

    /// Makes the authorities and listens. Returns once every listener accepts connections.
    ///
    /// # Errors
    ///
    /// [`StartError`]; [`StartError::is_invalid`] where the declaration makes no sense.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops what had begun and removes its sockets.
    pub async fn start(self) -> Result<Agent, StartError> {
        self.check()?;
        let directory = match self.directory {
            Some(path) => Directory::at(
                std::path::absolute(&path).map_err(|error| StartError::directory(&path, error))?,
            )?,
            None => Directory::temporary()?,
        };
        let state = Arc::new(state(self.trust_domains, self.entries)?);
        let log = Log::default();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let guard = stop.clone().drop_guard();

        let mut listeners = BTreeMap::new();
        let mut servers = Vec::new();
        let mut files = Vec::new();
        for spec in self.listeners {
            let bound = bind(spec.address, &spec.name, &directory).await?;
            let name: Arc<str> = spec.name.into();
            let fault = Arc::new(watch::Sender::new(None));
            let server = Server {
                name: Arc::clone(&name),
                state: Arc::clone(&state),
                log: log.clone(),
                fault: fault.subscribe(),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            servers.push((server, bound.socket));
            files.extend(bound.file);
            listeners.insert(
                name,
                Listener {
                    endpoint: bound.endpoint,
                    fault,
                },
            );
        }
        let control = match self.has_control {
            true => Some(control::bind(directory.path())?),
            false => None,
        };

        // From here on nothing fails: what listens is served.
        for (server, socket) in servers {
            tasks.spawn(server.serve(socket));
        }
        tasks.spawn({
            let (state, stop) = (Arc::clone(&state), stop.clone());
            async move { stop.run_until_cancelled(state.rotate_at_half_life()).await }
        });
        let core = Arc::new(Core {
            state,
            listeners,
            log,
        });
        let control = control.map(|(listener, file)| {
            let serving = control::serve(listener, Arc::clone(&core), stop.clone(), tasks.clone());
            tasks.spawn(serving);
            file
        });
        Ok(Agent {
            core,
            control,
            files,
            tasks,
            guard,
            directory,
        })
    }
}

struct Bound {
    socket: Socket,
    endpoint: String,
    file: Option<SocketFile>,
}

async fn bind(address: Address, name: &str, directory: &Directory) -> Result<Bound, StartError> {
    let path = match address {
        Address::Tcp(address) => {
            let listening = TcpListener::bind(address).await.and_then(|listener| {
                let address = listener.local_addr()?;
                Ok((listener, address))
            });
            let (listener, address) =
                listening.map_err(|error| StartError::listen(address, error))?;
            return Ok(Bound {
                socket: Socket::Tcp(listener),
                endpoint: format!("tcp://{address}"),
                file: None,
            });
        }
        Address::InDirectory => directory.path().join(format!("{name}.sock")),
        Address::Unix(path) => {
            let path = std::path::absolute(&path)
                .map_err(|error| StartError::listen(path.display(), error))?;
            if let Some(parent) = path.parent() {
                directory::make_private(parent)?;
            }
            path
        }
    };
    if !directory::fits_into_a_uri(&path) {
        return Err(StartError::odd_path(&path));
    }
    let (listener, file) = directory::listen(&path)?;
    Ok(Bound {
        socket: Socket::Unix(listener),
        endpoint: format!("unix://{}", path.display()),
        file: Some(file),
    })
}

fn state(trust_domains: Vec<TrustDomainSpec>, entries: Vec<Entry>) -> Result<State, StartError> {
    let revision = watch::Sender::new(0);
    let mut authorities = BTreeMap::new();
    let mut federations = BTreeMap::new();
    for spec in trust_domains {
        let authority =
            Authority::with_revision(spec.name.clone(), spec.authority_ttl, revision.clone())?;
        let with = spec
            .federates_with
            .iter()
            .filter_map(|name| spiffe_peer::parse::trust_domain(name).ok());
        federations.insert(
            spec.name.clone(),
            Federation {
                with: with.collect(),
                ..Federation::default()
            },
        );
        authorities.insert(spec.name, authority);
    }
    Ok(State::new(authorities, federations, entries, revision))
}
