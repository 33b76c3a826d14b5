/** The open study for every component of the viewer. */

import { createContext, useContext, useSyncExternalStore } from "react";
import type { StackView } from "../../viewport/stack-view";
import type { ViewState } from "../../viewport/view-state";
import type { ViewerSession } from "./viewer-session";
import type { ViewerState } from "./viewer-state";

const Context = createContext<ViewerSession | undefined>(undefined);

export const SessionProvider = Context.Provider;

export function useSession(): ViewerSession {
	const session = useContext(Context);
	if (!session) throw new Error("Only inside the viewer.");
	return session;
}

export function useViewer(): ViewerState {
	const session = useSession();
	return useSyncExternalStore(session.subscribe, session.getState);
}

const noSubscription = () => () => {};
const nothing = () => undefined;

/** The state of one viewport; undefined until the imaging core is there. */
export function useView(view: StackView | undefined): ViewState | undefined {
	return useSyncExternalStore<ViewState | undefined>(
		view?.subscribe ?? noSubscription,
		view?.getState ?? nothing,
	);
}
