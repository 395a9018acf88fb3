//! The help centre's articles: ten topics, five things in each, four questions about every thing.
//!
//! Made from word lists, so that two hundred pages cost no two hundred files and are the same in every run.

/// A group of articles with a page of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    /// The last segment of its path, under `/topics/` and `/images/`.
    pub slug: &'static str,
    pub title: &'static str,
    pub blurb: &'static str,
    /// The colour of its illustration, in degrees on the colour wheel.
    pub hue: u16,
    things: [&'static str; 5],
}

/// One page of the help centre.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Article {
    /// 1 for the first; its place in the library.
    pub id: usize,
    /// The last segment of its path, under `/articles/`. Unique.
    pub slug: String,
    pub title: String,
    pub topic: &'static Topic,
    pub summary: String,
    pub steps: Vec<String>,
    pub note: String,
}

/// Every article, in reading order.
#[derive(Debug)]
pub(crate) struct Library {
    articles: Vec<Article>,
}

impl Library {
    pub(crate) fn new() -> Self {
        let questions = TOPICS.iter().flat_map(|topic| {
            topic.things.iter().flat_map(move |thing| QUESTIONS.iter().map(move |q| (topic, *thing, q)))
        });
        let articles = questions.enumerate().map(|(at, (topic, thing, q))| q.about(at + 1, topic, thing));
        Library { articles: articles.collect() }
    }

    pub(crate) fn all(&self) -> &[Article] {
        &self.articles
    }

    pub(crate) fn by_slug(&self, slug: &str) -> Option<&Article> {
        self.articles.iter().find(|article| article.slug == slug)
    }

    pub(crate) fn by_id(&self, id: usize) -> Option<&Article> {
        self.articles.get(id.checked_sub(1)?)
    }

    pub(crate) fn in_topic(&self, topic: &Topic) -> impl Iterator<Item = &Article> {
        self.articles.iter().filter(move |article| article.topic == topic)
    }

    /// What a reader may want next: the following article, one a topic further, and one far away.
    pub(crate) fn related(&self, to: &Article) -> impl Iterator<Item = &Article> {
        let (id, count) = (to.id, self.articles.len());
        [1, 23, 87].into_iter().filter_map(move |step| self.articles.get((id - 1 + step) % count))
    }

    /// Articles whose title holds every word of `query`, in reading order.
    pub(crate) fn search(&self, query: &str) -> Vec<&Article> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let holds_all = |title: &str| words.iter().all(|word| title.contains(word.as_str()));
        self.articles.iter().filter(|article| holds_all(&article.title.to_lowercase())).collect()
    }
}

pub(super) fn topic(slug: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.slug == slug)
}

/// A question that can be asked of anything, and the shape of its answer. `{}` stands for the thing.
struct Question {
    title: &'static str,
    summary: &'static str,
    steps: [&'static str; 4],
    note: &'static str,
}

impl Question {
    fn about(&self, id: usize, topic: &'static Topic, thing: &str) -> Article {
        let fill = |template: &str| template.replace("{}", thing).replace("{topic}", topic.title);
        let title = fill(self.title);
        Article {
            id,
            slug: title.to_lowercase().replace(' ', "-"),
            title,
            topic,
            summary: fill(self.summary),
            steps: self.steps.iter().map(|step| fill(step)).collect(),
            note: fill(self.note),
        }
    }
}

const QUESTIONS: [Question; 4] = [
    Question {
        title: "How to set up {}",
        summary: "Everything you need to get {} going, in about five minutes and without a line of code.",
        steps: [
            "Open Settings and choose {topic}.",
            "Press New, then pick {} from the list. If it is greyed out, your plan does not include it yet.",
            "Give it a name that your colleagues will recognise a year from now.",
            "Press Save. It takes effect at once; nobody has to sign in again.",
        ],
        note: "You can undo all of this: {} goes to the bin for thirty days before it is really gone.",
    },
    Question {
        title: "How to change {}",
        summary: "Your first choice for {} does not have to be the last. Here is what you can change, and when.",
        steps: [
            "Find {} under {topic}, or type its name into the search box at the top.",
            "Press the pencil beside it. The previous version stays in use while you are editing.",
            "Compare the two versions side by side, then press Publish.",
            "Tell your team: a change of {} shows up in everyone's activity feed.",
        ],
        note: "Changes made by an integration look the same in the history, with a small plug beside the name.",
    },
    Question {
        title: "Who can see {}",
        summary: "{topic} follows the roles of your workspace. This page lists who sees {} and who can edit it.",
        steps: [
            "Owners and admins can always see and edit {}.",
            "Members see it when they belong to a team that uses it.",
            "Guests never see it, not even through a shared link.",
            "To check for one person, open their profile and press View as.",
        ],
        note: "Anyone who can see {} can also export it. Keep guests out of the teams where that matters.",
    },
    Question {
        title: "When {} does not work",
        summary: "Most trouble with {} has one of four causes. Go through them in this order.",
        steps: [
            "Look at the status page. If {topic} is amber there, we already know and are on it.",
            "Reload the page with the shift key held down, so that the browser fetches everything again.",
            "Ask a colleague to try. If it works for them, compare your roles.",
            "Copy the request id from the bottom of the error page and send it to us.",
        ],
        note: "Please do not retry in a loop: a 429 answer tells you how many seconds to wait.",
    },
];

pub(super) const TOPICS: [Topic; 10] = [
    Topic {
        slug: "getting-started",
        title: "Getting started",
        blurb: "From an empty workspace to the first answered message.",
        hue: 168,
        things: ["your workspace", "a team", "the first inbox", "the mobile app", "sample data"],
    },
    Topic {
        slug: "inboxes",
        title: "Inboxes",
        blurb: "Where messages arrive, and how they find the right person.",
        hue: 205,
        things: ["a shared inbox", "an email address", "a signature", "a saved reply", "a snooze"],
    },
    Topic {
        slug: "routing",
        title: "Routing",
        blurb: "Rules that sort, assign and remind while you do something else.",
        hue: 262,
        things: ["a routing rule", "a round robin", "a priority", "an out-of-office day", "an escalation"],
    },
    Topic {
        slug: "customers",
        title: "Customers",
        blurb: "One page for each person, with everything they ever asked.",
        hue: 328,
        things: ["a customer profile", "a merged contact", "a company", "a custom field", "a segment"],
    },
    Topic {
        slug: "channels",
        title: "Channels",
        blurb: "Email, chat, telephone and whatever comes next, in one place.",
        hue: 24,
        things: ["live chat", "a phone number", "text messages", "a contact form", "a social account"],
    },
    Topic {
        slug: "automation",
        title: "Automation",
        blurb: "Let the dull part happen by itself.",
        hue: 44,
        things: ["a workflow", "a trigger", "a time condition", "a webhook", "a tag"],
    },
    Topic {
        slug: "reports",
        title: "Reports",
        blurb: "Numbers that answer a question somebody actually has.",
        hue: 96,
        things: ["a dashboard", "a weekly digest", "a satisfaction survey", "an export", "a goal"],
    },
    Topic {
        slug: "developers",
        title: "Developers",
        blurb: "The API, webhooks, and how to stay within the limits.",
        hue: 228,
        things: ["an API key", "pagination", "an event stream", "a sandbox", "an OAuth client"],
    },
    Topic {
        slug: "billing",
        title: "Billing",
        blurb: "Plans, invoices and the people who pay them.",
        hue: 145,
        things: ["an invoice", "a payment card", "your plan", "a tax number", "a spending cap"],
    },
    Topic {
        slug: "security",
        title: "Security",
        blurb: "Who gets in, what they may do, and how you can tell.",
        hue: 4,
        things: ["single sign-on", "a second factor", "an audit log", "a role", "a session limit"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Promise: about two hundred articles, each at a path of its own, found again by slug and by id.
    #[test]
    fn every_article_can_be_found() {
        let library = Library::new();
        assert_eq!(library.all().len(), 10 * 5 * 4);
        let slugs: HashSet<&str> = library.all().iter().map(|a| a.slug.as_str()).collect();
        assert_eq!(slugs.len(), library.all().len());
        for article in library.all() {
            assert_eq!(library.by_slug(&article.slug), Some(article));
            assert_eq!(library.by_id(article.id), Some(article));
            assert!(article.slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{}", article.slug);
        }
        assert_eq!((library.by_id(0), library.by_id(201)), (None, None));
    }

    /// Promise: no template is left unfilled.
    #[test]
    fn every_sentence_is_filled_in() {
        for article in Library::new().all() {
            let whole = format!("{article:?}");
            assert!(!whole.contains("{}") && !whole.contains("{topic}"), "{whole}");
        }
    }

    /// Promise: a search finds what has all the words, whatever their case and order.
    #[test]
    fn search_needs_every_word() {
        let library = Library::new();
        let found: Vec<&str> = library.search("WEBHOOK change").iter().map(|a| a.title.as_str()).collect();
        assert_eq!(found, ["How to change a webhook"]);
        assert!(library.search("webhook invoice").is_empty());
    }
}
