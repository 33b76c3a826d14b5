/** The REST API: JSON in and out, sign-in kept by the session cookie. */

/** A refusal by the server, in its own plain sentence. */
export class RestError extends Error {
	constructor(
		readonly status: number,
		message: string,
	) {
		super(message);
		this.name = "RestError";
	}
}

let csrfToken = "";

/** The token of the session, for unsafe requests. */
export function rememberCsrfToken(token: string): void {
	csrfToken = token;
}

export function csrfHeaders(): Record<string, string> {
	return csrfToken ? { "X-CSRFToken": csrfToken } : {};
}

/** Leaves for the sign-in page and comes back to where the user was. */
export function signInAgain(): void {
	const here = window.location.pathname + window.location.search;
	window.location.assign(`/login/?next=${encodeURIComponent(here)}`);
}

async function failure(response: Response): Promise<RestError> {
	if (response.status === 401) signInAgain();
	let message = `The server answered ${response.status}.`;
	try {
		const body: unknown = await response.json();
		if (body && typeof body === "object" && "detail" in body) message = String(body.detail);
	} catch {
		// Not JSON: the status has to do.
	}
	return new RestError(response.status, message);
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
	const response = await fetch(path, {
		headers: { Accept: "application/json" },
		credentials: "same-origin",
		signal: signal ?? null,
	});
	if (!response.ok) throw await failure(response);
	return (await response.json()) as T;
}

export async function postJson<T>(path: string, body: unknown): Promise<T> {
	const response = await fetch(path, {
		method: "POST",
		headers: { Accept: "application/json", "Content-Type": "application/json", ...csrfHeaders() },
		credentials: "same-origin",
		body: JSON.stringify(body),
	});
	if (!response.ok) throw await failure(response);
	return (await response.json()) as T;
}
