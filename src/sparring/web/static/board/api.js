// Questions to the board's server. An answer that has not changed is not sent again, and no two questions run at once.

const answers = new Map(); // by address: the ETag, the answer, and its text
const KEPT = 60;

export class Refused extends Error {}

/** The answer to a question, and whether it is another one than the last time. Throws Refused with the server's words. */
export async function ask(address) {
  const before = answers.get(address);
  const headers = before ? { "If-None-Match": before.tag } : {};
  const answer = await fetch(address, { headers, cache: "no-store" });
  if (answer.status === 304 && before) return { value: before.value, isNew: false };
  if (!answer.ok) throw new Refused(await reason(answer));
  const value = await answer.json();
  answers.delete(address);
  answers.set(address, { tag: answer.headers.get("ETag"), value });
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  return { value, isNew: true };
}

export async function post(address, content, signal) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
    signal,
  });
  if (!answer.ok) throw new Refused(await reason(answer));
  return answer.json();
}

async function reason(answer) {
  try {
    return (await answer.json()).message;
  } catch {
    return `the server answered ${answer.status}`;
  }
}

export const pictureOf = (run, step, version) => `/api/run/${run}/samples/${step}?v=${version}`;

/** Call `look` again and again, each time after the last one has ended. Stops while nobody sees the page. */
export function watch(look, seconds) {
  let timer = null;
  let busy = false;
  let again = false;
  const turn = async () => {
    clearTimeout(timer);
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    again = false;
    let wait = 5 * seconds; // if it throws
    try {
      wait = (await look()) ?? seconds;
    } finally {
      busy = false;
      if (again || !document.hidden) timer = setTimeout(turn, again ? 0 : 1000 * wait);
    }
  };
  document.addEventListener("visibilitychange", () => !document.hidden && turn());
  turn();
  return turn;
}
