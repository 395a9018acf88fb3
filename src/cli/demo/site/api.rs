//! The help centre's JSON API: articles, a page at a time.

use serde_json::{Value, json};

use super::articles::{Article, Library};

const PER_PAGE_DEFAULT: usize = 20;
const PER_PAGE_MAX: usize = 50;

/// One page of articles, with the path of the next one (`null` on the last).
///
/// `query` is the raw query string: `page` counts from 1, `per_page` is 20 unless told and at most 50;
/// what is not a number counts as absent.
pub(super) fn articles(library: &Library, query: &str) -> Value {
    let page = number(query, "page").unwrap_or(1).max(1);
    let per_page = number(query, "per_page").unwrap_or(PER_PAGE_DEFAULT).clamp(1, PER_PAGE_MAX);
    let total = library.all().len();
    let first = (page - 1).saturating_mul(per_page);
    let items: Vec<Value> = library.all().iter().skip(first).take(per_page).map(outline).collect();
    let more = first.saturating_add(per_page) < total;
    let next = more.then(|| format!("/api/v1/articles?page={}&per_page={per_page}", page + 1));
    json!({ "items": items, "page": page, "per_page": per_page, "total": total, "next": next })
}

/// One article whole.
pub(super) fn article(article: &Article) -> Value {
    let mut value = outline(article);
    value["summary"] = json!(article.summary);
    value["steps"] = json!(article.steps);
    value["note"] = json!(article.note);
    value
}

fn outline(article: &Article) -> Value {
    json!({
        "id": article.id,
        "title": article.title,
        "topic": article.topic.slug,
        "url": format!("/articles/{}", article.slug),
        "self": format!("/api/v1/articles/{}", article.id),
    })
}

fn number(query: &str, name: &str) -> Option<usize> {
    super::parameter(query, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: following `next` sees every article once and then ends.
    #[test]
    fn pages_end() {
        let library = Library::new();
        let (mut seen, mut query) = (Vec::new(), Some("per_page=30".to_owned()));
        while let Some(current) = query.take() {
            let page = articles(&library, &current);
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()));
            query = page["next"].as_str().map(|path| path.split_once('?').unwrap().1.to_owned());
        }
        assert_eq!(seen, (1..=200).collect::<Vec<u64>>());
    }

    /// Promise: no page number makes it panic or answer without bound.
    #[test]
    fn odd_pages_are_bounded() {
        let library = Library::new();
        for query in
            ["page=0", "page=-1", "page=99999999999999999999", "page=18446744073709551615", "per_page=0"]
        {
            assert!(articles(&library, query)["items"].as_array().unwrap().len() <= PER_PAGE_MAX, "{query}");
        }
        assert_eq!(articles(&library, "per_page=1000")["items"].as_array().unwrap().len(), PER_PAGE_MAX);
    }
}
