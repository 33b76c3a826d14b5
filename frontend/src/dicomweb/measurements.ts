/** A reader's draft of measurements on a study: read whole, saved whole. */

import { csrfHeaders, failure, getJson, reach } from "./rest";

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

export function fetchDraft(study: string, signal?: AbortSignal): Promise<WireDraft> {
	return getJson<WireDraft>(address(study), signal);
}

/** Saves all measurements, based on the version they were made from. */
export async function saveDraft(
	study: string,
	version: number,
	measurements: WireMeasurement[],
	leaving = false,
): Promise<SavedDraft> {
	const response = await reach(address(study), {
		method: "PUT",
		headers: { Accept: "application/json", "Content-Type": "application/json", ...csrfHeaders() },
		credentials: "same-origin",
		body: JSON.stringify({ version, measurements }),
		// The page may go before the answer comes.
		keepalive: leaving,
	});
	if (!response.ok && response.status !== 409) throw await failure(response);
	return { ...((await response.json()) as WireDraft), conflict: response.status === 409 };
}
