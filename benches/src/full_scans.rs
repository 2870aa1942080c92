//! Plans that read a whole table.

/// The steps of a plan of SQLite's for this text that read one of `tables` whole. They name it as the text
/// does: `SCAN p` of `posts p`.
pub fn on_sqlite(lines: &[String], text: &str, tables: &[&str]) -> Vec<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "(),".contains(c))
        .filter(|word| !word.is_empty() && *word != "AS")
        .collect();
    let is_table = |name: &str| {
        let is_called_so = |pair: &[&str]| tables.contains(&pair[0]) && pair[1] == name;
        tables.contains(&name) || words.windows(2).any(is_called_so)
    };
    let scanned = |line: &&String| {
        line.strip_prefix("SCAN ")
            .map(first_word)
            .is_some_and(is_table)
    };
    lines.iter().filter(scanned).cloned().collect()
}

/// The nodes of a plan of PostgreSQL's that read one of `tables` whole, also by an index: then it has no
/// `Index Cond`. The indexes `small` may be read whole.
pub fn on_postgres(lines: &[String], tables: &[&str], small: &[&str]) -> Vec<String> {
    let mut whole = Vec::new();
    // That a bitmap is made for: it stands above.
    let mut heap = "";
    for (at, line) in lines.iter().enumerate() {
        let after = |what: &str| line.split_once(what).map(|(_, rest)| first_word(rest));
        if let Some(table) = after("Bitmap Heap Scan on ") {
            heap = table;
            continue;
        }
        // An index has its table behind its own name: `Index Only Scan Backward using a on b`.
        let of_index = ["Index Scan", "Index Only Scan"];
        let of_index = of_index.iter().any(|kind| line.contains(kind));
        let (table, is_index) = if let Some(table) = after("Seq Scan on ") {
            (table, false)
        } else if line.contains("Bitmap Index Scan on ") {
            (heap, true)
        } else if let Some(table) = after(" on ").filter(|_| of_index) {
            (table, true)
        } else {
            continue;
        };
        // What is told of a node stands between it and the next.
        let told = lines[at + 1..].iter();
        let mut told = told.take_while(|line| !line.contains("->"));
        let has_condition = told.any(|line| line.trim_start().starts_with("Index Cond:"));
        let index = after(" using ").or(after("Bitmap Index Scan on "));
        let is_small = index.is_some_and(|index| small.contains(&index));
        if tables.contains(&table) && !(is_index && has_condition) && !is_small {
            whole.push(line.trim().to_owned());
        }
    }
    whole
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn postgres_reads_a_table_whole_by_an_index_without_a_condition() {
        let plan = lines(
            "Limit  (cost=0.42..9.10 rows=20 width=16)
  ->  Nested Loop  (cost=0.42..9.10 rows=20 width=16)
        ->  Index Only Scan Backward using posts_discover on posts n  (cost=0.42..1.0 rows=9)
              Filter: (NOT is_gone)
        ->  Index Scan using users_pkey on users u  (cost=0.29..0.31 rows=1 width=16)
              Index Cond: (id = n.author_id)
        ->  Bitmap Heap Scan on likes l  (cost=4.0..9.0 rows=9 width=16)
              Recheck Cond: (user_id = $1)
              ->  Bitmap Index Scan on likes_user  (cost=0.0..4.0 rows=9 width=0)
                    Index Cond: (user_id = $1)
        ->  Bitmap Heap Scan on mutes m  (cost=4.0..9.0 rows=9 width=16)
              ->  Bitmap Index Scan on mutes_muted  (cost=0.0..4.0 rows=9 width=0)
        ->  Index Only Scan using mutes_open on mutes o  (cost=0.0..4.0 rows=9 width=0)
        ->  Parallel Seq Scan on blocks b  (cost=0.0..4.0 rows=9 width=0)
        ->  Seq Scan on trends t  (cost=0.0..4.0 rows=9 width=0)",
        );
        let tables = ["posts", "users", "likes", "mutes", "blocks"];
        let whole = on_postgres(&plan, &tables, &["mutes_open"]);
        let named: Vec<_> = whole
            .iter()
            .filter_map(|line| line.split("  ").nth(1))
            .collect();
        assert_eq!(
            named,
            [
                "Index Only Scan Backward using posts_discover on posts n",
                "Bitmap Index Scan on mutes_muted",
                "Parallel Seq Scan on blocks b",
            ]
        );
    }

    #[test]
    fn sqlite_names_a_table_as_the_text_does() {
        let plan = lines("SCAN p\nSEARCH u USING INDEX users_id (id=?)\nSCAN trends\nSCAN c");
        let text = "SELECT 1 FROM posts AS p, users u, trends, (SELECT 1) AS c";
        assert_eq!(on_sqlite(&plan, text, &["posts", "users"]), ["SCAN p"]);
    }
}
