import { onSessionElsewhere } from "../browser";
import { Masthead } from "../masthead";
import { showUnread } from "../notifications/bell";
import { showNotifications } from "../notifications/page";
import { showTrouble } from "../page";
import { hashtagName, postId } from "../places";
import { showDiscover } from "./discover";
import { showHashtag } from "./hashtag";
import { showHome } from "./home";
import { showSearch } from "./search";
import { showThread } from "./thread";

const PAGES: readonly (readonly [RegExp, () => void])[] = [
  [/^\/home\/?$/, showHome],
  [/^\/discover\/?$/, showDiscover],
  [/^\/search\/?$/, showSearch],
  [/^\/notifications\/?$/, showNotifications],
  [/^\/posts\//, () => void showThread(postId(location.pathname))],
  [/^\/hashtags\//, () => showHashtag(hashtagName(location.pathname))],
];

new Masthead();
showUnread();
// What is shown is for somebody else's eyes now.
onSessionElsewhere(() => location.reload());
const show = PAGES.find(([path]) => path.test(location.pathname))?.[1];
if (show === undefined) showTrouble(null, "There is no page at this address.", () => location.reload());
else show();
