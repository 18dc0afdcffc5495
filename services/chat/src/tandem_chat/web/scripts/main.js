// Wires the parts of the page together. The address after `#` says which conversation is open, so that a reload, the back
// button and a bookmark all lead to it.

import { Composer } from "./composer.js";
import { ConversationList, titleOf } from "./conversation-list.js";
import { ConversationSession } from "./conversation-session.js";
import { DeleteDialog } from "./delete-dialog.js";
import { byId, markLanguage } from "./elements.js";
import { FeedbackPanel } from "./feedback-panel.js";
import { ReadinessBanner } from "./readiness-banner.js";
import { Sidebar } from "./sidebar.js";
import { SignIn } from "./sign-in.js";
import { ThreadView } from "./thread-view.js";

const ADDRESS = /^#\/conversations\/(.+)$/;

const hasFinePointer = window.matchMedia("(pointer: fine)").matches;
const thread = new ThreadView();
const readiness = new ReadinessBanner({
  onReady() {
    composer.showProblem(null);
    announce("The model is ready.");
    list.refresh();
    if (couldNotRead) openAddress();
    else session.refresh();
  },
});
const composer = new Composer({ onSend: (text) => session.send(text), onStop: () => session.stop() });
const feedback = new FeedbackPanel({ announce });
const deleteDialog = new DeleteDialog({ onDeleted: leave });
const list = new ConversationList({ askToDelete: (conversation) => deleteDialog.ask(conversation) });
new Sidebar();
new SignIn({
  onSignedIn() {
    list.refresh();
    openAddress();
  },
});

const page = {
  thread,
  composer,
  readiness,
  announce,
  created(conversation) {
    composer.rename(conversation.id);
    feedback.adopt(conversation.id);
    history.replaceState(null, "", addressOf(conversation.id));
    list.add(conversation);
    list.markOpen(conversation.id);
  },
  loaded: showTitle,
  async changed() {
    await list.refresh();
    const conversation = list.find(session.id);
    if (conversation) showTitle(conversation);
  },
  missing(problem) {
    if (problem.status === 404) {
      thread.showEmpty("This conversation does not exist", "It may have been deleted. Choose another one, or start a new one.");
    } else {
      thread.showEmpty("This conversation could not be read", problem.detail ?? String(problem), "Reload the page to try again.");
      couldNotRead = true;
      readiness.check();
    }
  },
  progress: (progress) => feedback.setProgress(progress),
  storedUnseen(id, text) {
    composer.forget(id, text);
    composer.forget("new", text);
    list.refresh();
    if (session.id === id) session.refresh();
  },
};

let couldNotRead = false;
let session = new ConversationSession(null, page);

function open(id) {
  couldNotRead = false;
  session.close();
  session = new ConversationSession(id, page);
  thread.clear();
  composer.open(id ?? "new");
  list.markOpen(id);
  showTitle(list.find(id) ?? {});
  feedback.open(id);
  session.open();
  if (hasFinePointer) composer.focus();
}

function openAddress() {
  const id = ADDRESS.exec(location.hash)?.[1];
  open(id === undefined ? null : decodeURIComponent(id));
}

function addressOf(id) {
  return `#/conversations/${encodeURIComponent(id)}`;
}

function leave(deletedId) {
  list.remove(deletedId);
  list.refresh();
  announce("The conversation was deleted.");
  if (session.id === deletedId) location.hash = "#/new";
  byId("new-conversation").focus();
}

function showTitle(conversation) {
  const title = titleOf(conversation);
  const heading = byId("title");
  heading.textContent = title;
  heading.removeAttribute("lang");
  markLanguage(heading, title);
  document.title = conversation.id ? `${title} · Tandem` : "Tandem";
}

function announce(text) {
  byId("announcements").textContent = text;
}

byId("new-conversation").addEventListener("click", () => {
  if (location.hash === "#/new" || location.hash === "") composer.focus();
});
byId("skip-link").addEventListener("click", (event) => {
  event.preventDefault(); // The address names the open conversation: it must not become "#message".
  composer.focus();
});
window.addEventListener("hashchange", openAddress);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  readiness.check();
  list.refresh();
  session.refresh();
});

openAddress();
readiness.check();
list.refresh();
