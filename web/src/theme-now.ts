// Before the page is painted for the first time.
import { applyTheme } from "./theme";

applyTheme();
