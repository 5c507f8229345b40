use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

use crate::connector::Connector;
use crate::dial::Protocol;
use crate::error::{ConnectorError, ConnectorFailure};
use crate::settings::FAR;

/// How long an idle connection is kept at most: nobody can tell reqwest that its time has come.
const LONGEST_IDLE: Duration = Duration::from_secs(10);

impl Connector {
    /// A builder of a [`reqwest::Client`] that presents the own SVID of the moment and takes no server
    /// but the expected one, with the settings of this connector. It speaks `https` alone, goes
    /// through no proxy, follows no redirect and resumes no session.
    ///
    /// What reqwest does not let anybody do, and [`http_client`](Self::http_client) does:
    ///
    /// * An open connection is not closed when the trust in its server is withdrawn or its identity
    ///   ends, and not retired when the own SVID is replaced. An idle one ends after ten seconds
    ///   at most; one that is always busy lives until the server ends it, as our acceptor does at
    ///   the end of this client's SVID.
    /// * The server's [`PeerIdentity`](crate::PeerIdentity) is not in the response.
    /// * A handshake may verify the server under one revision and present the SVID of the next.
    /// * With [`by_authority`](Self::by_authority) the port of a server cannot be told, so that two
    ///   ports of a host have to be the same server's; a host that the map does not name is refused in
    ///   the handshake, before anything of a request is sent, but it is dialled.
    /// * With [`http2_only`](Self::http2_only) a server that agrees to no protocol at all is spoken to in
    ///   HTTP/2 nevertheless; one that refuses it gets no request.
    /// * There is no timeout for the head of a response alone, and the timeouts for dial and handshake
    ///   are one, their sum.
    ///
    /// Do not call `tls_backend_rustls` and the like on the builder: they replace all of this.
    ///
    /// ```no_run
    /// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
    /// use spiffe_connector::Connector;
    ///
    /// let orders = Connector::new(source, "spiffe://example.org/service/orders")?;
    /// let client = orders.reqwest()?.user_agent("billing/1.0").build()?;
    /// let response = client.get("https://orders.internal:8443/orders/1").send().await?;
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectorError`] where two ports of a host in the map are two servers', or the crypto
    /// provider cannot do what is needed.
    pub fn reqwest(&self) -> Result<ClientBuilder, ConnectorError> {
        let tls = match self.servers() {
            None => self.tls().following_config(),
            Some(servers) => {
                let by_host = servers.by_host().map_err(ConnectorFailure::Servers)?;
                self.tls().following_config_by_host(move |host| {
                    by_host.get(&*host.to_ascii_lowercase()).cloned()
                })
            }
        };
        let mut tls = tls.map_err(ConnectorFailure::Tls)?;
        let mut builder = reqwest::Client::builder();
        if let Some(protocol) = self.only() {
            tls.alpn_protocols = vec![protocol.alpn()];
            builder = match protocol {
                Protocol::Http1 => builder.http1_only(),
                Protocol::Http2 => builder.http2_prior_knowledge(),
            };
        }
        let settings = self.settings();
        let connect = settings
            .dial_timeout
            .saturating_add(settings.handshake_timeout);
        let builder = builder
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(connect)
            .tcp_nodelay(true)
            .tcp_keepalive(settings.keep_alive)
            .tcp_keepalive_interval(settings.keep_alive)
            .http2_keep_alive_interval(settings.keep_alive.min(FAR))
            .pool_idle_timeout(settings.idle_timeout.min(LONGEST_IDLE))
            .pool_max_idle_per_host(settings.max_idle);
        Ok(match settings.overall_timeout {
            Some(overall) => builder.timeout(overall),
            None => builder,
        })
    }
}
