// Puts a problem that came back from sending into words for the reader: what happened, and what to do next.

const SENTENCES = {
  engine_not_ready: "The model is not ready yet. Your text is kept: send it again in a moment.",
  reply_in_progress: "Another answer is still being written in this conversation. Your text is kept.",
  unreachable: "The server cannot be reached. Your text is kept: send it again when it is back.",
};

export function explainProblem(problem) {
  if (SENTENCES[problem.code]) return SENTENCES[problem.code];
  const fields = problem.errors.map(({ message }) => message).filter(Boolean);
  return [problem.detail, ...fields].join(" ");
}
