// Keeps text that was typed and not yet accepted by the service, one draft per conversation, over reloads of this tab.

const kept = openShelf();

export function readDraft(key) {
  return kept.getItem(`draft:${key}`) ?? "";
}

export function keepDraft(key, text) {
  if (text) kept.setItem(`draft:${key}`, text);
  else kept.removeItem(`draft:${key}`);
}

function openShelf() {
  try {
    return window.sessionStorage;
  } catch {
    // Storage can be forbidden by the browser's settings: drafts then last as long as the page does.
    const map = new Map();
    return {
      getItem: (key) => map.get(key) ?? null,
      setItem: (key, text) => map.set(key, text),
      removeItem: (key) => map.delete(key),
    };
  }
}
