use std::sync::Mutex;

use stepbox::batch::access::Thing;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::*;
use crate::conventions::limits::{ApiLimits, Limiters};

/// A part with a text. Markup from outside of `stepbox-web` is only made in tests.
fn text(id: &str, text: &str) -> (String, Markup) {
    (id.to_owned(), stepbox_web::list::none(text))
}

#[test]
fn markup_cannot_leave_its_lines() {
    let rows = [
        ("<p>a</p>", "data: <p>a</p>\n\n"),
        ("a\nb", "data: a\ndata: b\n\n"),
        ("a\r\nb\rc", "data: a\ndata: b\ndata: c\n\n"),
        ("a\n\nevent: end\n\n", "data: a\ndata: \ndata: event: end\ndata: \ndata: \n\n"),
        ("", "data: \n\n"),
    ];
    for (markup, expected) in rows {
        assert_eq!(message(None, markup), expected, "{markup:?}");
    }
    assert_eq!(message(Some(41), "a"), "id: 41\ndata: a\n\n");
}

/// Says what a test wants it to say, and tells of each look.
struct Said {
    /// The parts, and whether nothing will change any more.
    said: Arc<Mutex<(Vec<&'static str>, bool)>>,
    looks: UnboundedSender<()>,
}

impl Moving for Said {
    fn thing(&self) -> Thing<'_> {
        Thing::Executions
    }

    fn hears(&self, _: &Signal) -> bool {
        false
    }

    fn every(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    async fn look(&mut self, _: &Principal, _: &Reader) -> Result<Look, Failure> {
        let (said, is_over) = self.said.lock().unwrap().clone();
        let parts = said.iter().zip(["one", "other"]).map(|(said, id)| text(id, said)).collect();
        let _ = self.looks.send(());
        Ok(Look { parts, added: None, is_over })
    }
}

struct Watched {
    messages: Receiver<String>,
    looks: UnboundedReceiver<()>,
    said: Arc<Mutex<(Vec<&'static str>, bool)>>,
    tools: Arc<Tools>,
}

async fn watched() -> Watched {
    let tools = crate::testing::tools().await;
    let (client, messages) = mpsc::channel(10);
    let (look, looks) = unbounded_channel();
    let said = Arc::new(Mutex::new((vec!["1", "2"], false)));
    let live = Live {
        client,
        moving: Said { said: Arc::clone(&said), looks: look },
        principal: Principal::default(),
        standing: None,
        reader: Reader::new("", "en", stepbox_web::Theme::System, jiff::Timestamp::UNIX_EPOCH),
        sent: HashMap::new(),
        tools: Arc::clone(&tools),
        _place: Limiters::new(&ApiLimits::default()).stream("julia").unwrap(),
    };
    tokio::spawn(live.run());
    Watched { messages, looks, said, tools }
}

/// The next message that is none of the two that only keep a connection.
async fn next(messages: &mut Receiver<String>) -> Option<String> {
    let next = async {
        loop {
            match messages.recv().await {
                Some(text) if text == RETRY || text == STILL_HERE => {}
                other => return other,
            }
        }
    };
    timeout(Duration::from_secs(30), next).await.expect("nothing comes")
}

#[tokio::test]
async fn only_what_changed_is_sent_and_the_last_state_before_the_end() {
    let mut watched = watched().await;
    let first = next(&mut watched.messages).await.unwrap();
    assert!(first.contains("hx-target=\"#one\"") && first.contains("hx-target=\"#other\""), "{first}");
    for _ in 0..3 {
        watched.looks.recv().await.unwrap();
    }
    assert!(watched.messages.try_recv().is_err(), "it looked, and nothing had changed");
    *watched.said.lock().unwrap() = (vec!["1", "3"], false);
    let second = next(&mut watched.messages).await.unwrap();
    assert!(!second.contains("#one") && second.contains("hx-target=\"#other\""), "{second}");
    assert!(second.contains("hx-swap=\"outerMorph\"") && second.contains(">3</p></hx-partial>"), "{second}");
    *watched.said.lock().unwrap() = (vec!["4"], true);
    let last = next(&mut watched.messages).await.unwrap();
    assert!(last.contains(">4</p>"), "{last}");
    assert_eq!(next(&mut watched.messages).await.as_deref(), Some(END));
    assert_eq!(next(&mut watched.messages).await, None, "the stream is closed");
}

#[tokio::test]
async fn a_stream_without_credentials_that_hold_ends_at_a_change_of_rights() {
    let mut watched = watched().await;
    next(&mut watched.messages).await.unwrap();
    watched.tools.streams.rights_changed();
    assert_eq!(next(&mut watched.messages).await.as_deref(), Some(END));
    assert_eq!(next(&mut watched.messages).await, None);
}
