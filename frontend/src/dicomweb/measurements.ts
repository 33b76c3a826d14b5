/** A reader's draft of measurements on a study: read whole, saved whole. */

import { csrfHeaders, RestError, signInAgain } from "./rest";

export interface WireReading {
	name: string;
	value: number;
	unit: string;
}

export interface WireMeasurement {
	id: string;
	tool: string;
	series_instance_uid: string;
	sop_instance_uid: string;
	frame_number: number;
	points: [number, number][];
	label_at: [number, number] | null;
	text: string;
	note: string;
	readings: WireReading[];
}

export interface WireDraft {
	/** Counts saves; 0 when nothing was ever saved. */
	version: number;
	saved_at: string | null;
	measurements: WireMeasurement[];
}

/** What is stored now; `conflict` when another window saved first and nothing was written. */
export interface SavedDraft extends WireDraft {
	conflict: boolean;
}

const address = (study: string) => `/api/studies/${encodeURIComponent(study)}/measurements/`;

async function answer(response: Response): Promise<WireDraft> {
	if (response.status === 401) signInAgain();
	if (!response.ok && response.status !== 409) {
		throw new RestError(response.status, `The server answered ${response.status}.`);
	}
	return (await response.json()) as WireDraft;
}

async function ask(path: string, init: RequestInit): Promise<Response> {
	try {
		return await fetch(path, { credentials: "same-origin", ...init });
	} catch (error) {
		if (init.signal?.aborted) throw error;
		throw new RestError(0, "The server cannot be reached.");
	}
}

export async function fetchDraft(study: string, signal?: AbortSignal): Promise<WireDraft> {
	return answer(
		await ask(address(study), {
			headers: { Accept: "application/json" },
			signal: signal ?? null,
		}),
	);
}

/** Saves all measurements, based on the version they were made from. */
export async function saveDraft(
	study: string,
	version: number,
	measurements: WireMeasurement[],
	leaving = false,
): Promise<SavedDraft> {
	const response = await ask(address(study), {
		method: "PUT",
		headers: { Accept: "application/json", "Content-Type": "application/json", ...csrfHeaders() },
		body: JSON.stringify({ version, measurements }),
		// The page may go before the answer comes.
		keepalive: leaving,
	});
	return { ...(await answer(response)), conflict: response.status === 409 };
}
