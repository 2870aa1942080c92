//! What people write, what is on it, and what they like.

use super::{Size, Writing, chance, few_often};

/// Of so many posts one has a video.
const POSTS_TO_A_VIDEO: u64 = 100;

impl Writing {
    /// Of ten, seven are posts, one is a share of the post before, one a comment on it, and one
    /// quotes it. Each hundredth shows a stream; one in ten mentions somebody, one in five has a hashtag.
    pub(super) fn posts(&self) -> String {
        let Size { posts, people } = self.size;
        let series = self.series(posts);
        let (id, at) = (self.post("s.n"), self.posted_at("s.n"));
        let chance_of_author = chance("s.n", 104_729);
        let author = self.person(&format!(
            "{chance_of_author} % CASE WHEN s.n < {} THEN {people} ELSE {} END",
            posts / 6,
            self.size.dormant()
        ));
        let kind = |digit: u64, back: u64| {
            let other = self.post(&format!("s.n - {back}"));
            format!("CASE WHEN s.n % 10 = {digit} THEN {other} END")
        };
        let (comment, share, quote) = (kind(7, 1), kind(8, 2), kind(9, 3));
        let stream = self.person(&format!("s.n / 100 % {}", self.size.streams()));
        let (mentioned, hashtag) = (self.mentioned("s.n / 10"), hashtag("s.n / 5"));
        let words: Vec<String> = [3, 5, 7, 11, 13, 17, 19, 23]
            .map(|salt| format!("'word' || {}", few_often(&chance("s.n", salt), 50_000)))
            .into();
        let words = words.join(" || ' ' || ");
        // Of the newest 700,000, none has the word of old ones.
        let ancient = posts / 10 * 3;
        format!(
            "{series}
             INSERT INTO posts (id, author_id, parent_id, root_id, share_of_id, quote_of_id,
                                stream_id, visibility, body, created_at)
             SELECT {id}, {author}, {comment}, {comment}, {share}, {quote},
                    CASE WHEN s.n % 100 = 1 THEN {stream} END,
                    CASE WHEN s.n % 20 = 3 THEN 'followers' ELSE 'public' END,
                    CASE WHEN s.n % 10 = 8 THEN ''
                         ELSE {words}
                              || CASE WHEN s.n % 3 = 0 THEN ' hello' ELSE '' END
                              || CASE WHEN s.n < {ancient} THEN ' ancient' ELSE '' END
                              || CASE WHEN s.n % 2 = 0 THEN ' heads' ELSE ' tails' END
                              || CASE WHEN s.n % 10 = 4 THEN ' @user-' || {mentioned} ELSE '' END
                              || CASE WHEN s.n % 5 = 0 THEN ' #tag' || {hashtag} ELSE '' END
                         END,
                    ({at}) * 1000
             FROM series s"
        )
    }

    /// The number of who is mentioned.
    pub(super) fn mentioned(&self, number: &str) -> String {
        format!("({} % {})", chance(number, 59), self.size.people)
    }

    pub(super) fn mentions(&self) -> String {
        let series = self.series(self.size.posts / 10);
        let (post, person) = (self.post("s.n * 10 + 4"), self.mentioned("s.n"));
        let person = self.person(&person);
        format!(
            "{series}
             INSERT INTO post_mentions (post_id, user_id) SELECT {post}, {person} FROM series s"
        )
    }

    /// One in ten posts has a picture. Its id is the post's.
    pub(super) fn images(&self) -> String {
        let series = self.series(self.size.posts / 10);
        let post = self.post("s.n * 10 + 5");
        format!(
            "{series}
             INSERT INTO images (id, owner_id, post_id, position, media_type, width, height, size,
                                 description, created_at)
             SELECT p.id, p.author_id, p.id, 0, 'image/jpeg', 1200, 800, 100000, 'A picture',
                    p.created_at
             FROM series s JOIN posts p ON p.id = {post}"
        )
    }

    /// Their ids are those of the posts that they are on.
    pub(super) fn videos(&self) -> String {
        let series = self.series(self.size.posts / POSTS_TO_A_VIDEO);
        let post = self.post(&format!("s.n * {POSTS_TO_A_VIDEO} + 6"));
        format!(
            "{series}
             INSERT INTO videos (id, owner_id, title, state, original_size, duration, created_at,
                                 ready_at)
             SELECT p.id, p.author_id, 'A video', 'ready', 1000000, 60000000, p.created_at,
                    p.created_at
             FROM series s JOIN posts p ON p.id = {post}"
        )
    }

    pub(super) fn posted_videos(&self) -> String {
        let insert = "INSERT INTO post_videos (post_id, position, video_id)";
        format!("{insert} SELECT id, 0, id FROM videos")
    }

    pub(super) fn hashtags(&self) -> String {
        let (series, id) = (self.series(self.size.posts / 5), self.post("s.n * 5"));
        let hashtag = hashtag("s.n");
        format!(
            "{series}
             INSERT INTO post_hashtags (hashtag, post_id)
             SELECT 'tag' || {hashtag}, {id} FROM series s"
        )
    }

    /// The later something was written, the more like it.
    pub(super) fn likes(&self) -> String {
        let Size { posts, people } = self.size;
        let series = self.series(posts);
        let chance_of_post = few_often(&chance("s.n", 37), posts);
        let liked = format!("({posts} - 1 - {chance_of_post}) / 10 * 10");
        let who = chance("s.n", 41);
        let (id, person) = (self.post(&liked), self.person(&format!("{who} % {people}")));
        let at = self.now * 1_000;
        format!(
            "{series}
             INSERT INTO likes (post_id, user_id, created_at)
             SELECT {id}, {person}, {at} FROM series s WHERE TRUE
             ON CONFLICT (post_id, user_id) DO NOTHING"
        )
    }
}

/// The number of the hashtag that the n-th post with one has.
fn hashtag(number: &str) -> String {
    few_often(&chance(number, 31), 2_000)
}
