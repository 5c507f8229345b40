use std::os::unix::fs::MetadataExt;

use spiffe_devkit::AgentBuilder;
use tonic::Code;

use crate::client::Client;
use crate::{ORDERS, entry, example_org};

/// User, group and executable of this process.
pub(crate) fn own() -> (u32, u32, std::path::PathBuf) {
    let process = std::fs::metadata("/proc/self").unwrap();
    (
        process.uid(),
        process.gid(),
        std::env::current_exe().unwrap(),
    )
}

/// The IDs that this process gets on the listener `orders`; none where it is denied.
async fn ids(builder: AgentBuilder) -> Vec<String> {
    let agent = builder.unix("orders").start().await.unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    match client.ids().await {
        Ok(ids) => ids,
        Err(status) => {
            assert_eq!(status.code(), Code::PermissionDenied);
            Vec::new()
        }
    }
}

#[tokio::test]
async fn a_selector_holds_for_whom_it_names_and_for_nobody_else() {
    let (uid, gid, executable) = own();
    let held = entry(ORDERS).uid(uid).gid(gid).executable(&executable);
    assert_eq!(ids(example_org().entry(held)).await, [ORDERS]);

    assert!(
        ids(example_org().entry(entry(ORDERS).uid(uid + 1)))
            .await
            .is_empty()
    );
    assert!(
        ids(example_org().entry(entry(ORDERS).gid(gid + 1)))
            .await
            .is_empty()
    );
    assert!(
        ids(example_org().entry(entry(ORDERS).executable("/usr/bin/true")))
            .await
            .is_empty()
    );
    let all_but_one = entry(ORDERS).uid(uid).gid(gid).executable("/usr/bin/true");
    assert!(
        ids(example_org().entry(all_but_one)).await.is_empty(),
        "all selectors have to hold"
    );
}

#[tokio::test]
async fn one_process_holds_several_identities_by_the_listeners_it_comes_to() {
    let billing = "spiffe://example.org/service/billing";
    let anywhere = "spiffe://example.org/service/anywhere";
    let agent = example_org()
        .entry(entry(ORDERS).on("orders"))
        .entry(entry(billing).on("billing"))
        .entry(entry(anywhere))
        .unix("orders")
        .unix("billing")
        .start()
        .await
        .unwrap();
    let on = async |name: &str| {
        Client::connect(agent.endpoint(name).unwrap())
            .await
            .ids()
            .await
            .unwrap()
    };
    assert_eq!(on("orders").await, [ORDERS, anywhere]);
    assert_eq!(on("billing").await, [billing, anywhere]);
}

#[tokio::test]
async fn conformance_75_several_ids_come_in_order_and_no_hint_comes_twice() {
    let internal = entry("spiffe://example.org/b").hint("internal");
    let external = entry("spiffe://example.org/a").hint("external");
    let builder = example_org()
        .entry(internal)
        .entry(external)
        .entry(entry("spiffe://example.org/c"));
    let agent = builder.unix("orders").start().await.unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;

    let got = client.first_x509_svids().await.unwrap().svids;
    let got: Vec<_> = got
        .iter()
        .map(|svid| (svid.spiffe_id.as_str(), svid.hint.as_str()))
        .collect();
    let wanted = [
        ("spiffe://example.org/b", "internal"),
        ("spiffe://example.org/a", "external"),
        ("spiffe://example.org/c", ""),
    ];
    assert_eq!(got, wanted);
    let got = client.jwt_svids(&["a"], "").await.unwrap().svids;
    let got: Vec<_> = got
        .iter()
        .map(|svid| (svid.spiffe_id.as_str(), svid.hint.as_str()))
        .collect();
    assert_eq!(got, wanted);

    let twin = || entry(ORDERS).hint("internal");
    let refused = example_org()
        .entry(twin().uid(1))
        .entry(twin())
        .unix("orders")
        .start()
        .await
        .unwrap_err();
    assert!(
        refused.is_invalid() && refused.to_string().contains("hint"),
        "{refused}"
    );
    // Whom one names, the other does not: nobody can get both.
    assert!(
        example_org()
            .entry(twin().uid(1))
            .entry(twin().uid(2))
            .unix("orders")
            .start()
            .await
            .is_ok()
    );
    let apart = example_org()
        .entry(twin().on("one"))
        .entry(twin().on("two"))
        .unix("one")
        .unix("two");
    assert!(apart.start().await.is_ok());
    let by_transport = example_org()
        .entry(twin())
        .entry(twin().on("tcp").over_tcp())
        .unix("unix")
        .tcp("tcp");
    assert!(by_transport.start().await.is_ok());
}

#[tokio::test]
async fn tcp_gives_only_what_says_so_and_never_what_has_selectors() {
    let (uid, ..) = own();
    let open = "spiffe://example.org/open";
    let agent = example_org()
        .entry(entry(ORDERS))
        .entry(entry(open).over_tcp())
        .entry(entry("spiffe://example.org/selected").over_tcp().uid(uid))
        .unix("unix")
        .tcp("tcp")
        .start()
        .await
        .unwrap();
    assert!(
        agent
            .endpoint("tcp")
            .unwrap()
            .starts_with("tcp://127.0.0.1:")
    );
    let tcp = Client::connect(agent.endpoint("tcp").unwrap()).await;
    assert_eq!(tcp.ids().await.unwrap(), [open]);
    let unix = Client::connect(agent.endpoint("unix").unwrap()).await;
    assert_eq!(
        unix.ids().await.unwrap(),
        [ORDERS, open, "spiffe://example.org/selected"]
    );

    let record = agent
        .log()
        .into_iter()
        .find(|record| record.caller().is_tcp())
        .unwrap();
    assert_eq!((record.caller().uid(), record.caller().pid()), (None, None));
}

#[tokio::test]
async fn the_log_says_who_asked_and_what_it_got_and_no_secret() {
    let (uid, gid, executable) = own();
    let agent = example_org()
        .entry(entry(ORDERS))
        .unix("orders")
        .start()
        .await
        .unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    let svid = client.first_x509_svids().await.unwrap().svids.remove(0);
    let token = client
        .jwt_svids(&["billing"], "")
        .await
        .unwrap()
        .svids
        .remove(0)
        .svid;
    client
        .jwt_svids(&["billing"], "spiffe://example.org/other")
        .await
        .unwrap_err();

    let records = agent.log();
    let [x509, jwt, refused] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(x509.caller().pid(), i32::try_from(std::process::id()).ok());
    assert_eq!(
        (x509.caller().uid(), x509.caller().gid()),
        (Some(uid), Some(gid))
    );
    assert_eq!(x509.caller().executable(), Some(executable.as_path()));
    assert_eq!(
        (x509.caller().listener(), x509.method()),
        ("orders", "FetchX509SVID")
    );
    let serial = crate::certificates::serial(&svid);
    assert!(
        x509.answer()
            .starts_with(&format!("{ORDERS} serial {serial} until ")),
        "{x509}"
    );
    assert_eq!(jwt.answer(), format!("{ORDERS} for [\"billing\"]"));
    assert!(!x509.is_refused() && !jwt.is_refused() && refused.is_refused());
    assert!(
        refused.answer().starts_with("PermissionDenied"),
        "{refused}"
    );

    let text = format!("{records:?} {agent:?}");
    assert!(!text.contains(&token));
    assert!(!text.contains(token.rsplit('.').next().unwrap()));
}
