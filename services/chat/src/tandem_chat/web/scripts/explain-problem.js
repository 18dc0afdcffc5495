// Puts a problem with sending or retrying into words for the reader: what happened, and what to do next.

const SENTENCES = {
  engine_not_ready: "The model is not ready yet. Try again in a moment.",
  reply_in_progress: "Another answer is still being written in this conversation. Try again when it is finished.",
  unreachable: "The server cannot be reached. Try again when it is back.",
};

export function explainProblem(problem) {
  if (SENTENCES[problem.code]) return SENTENCES[problem.code];
  const more = problem.errors.map(({ message }) => message).filter((message) => !problem.detail.includes(message));
  return [problem.detail, ...more].join(" ");
}
