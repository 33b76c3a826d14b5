import { TooltipProvider } from "@radix-ui/react-tooltip";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { BrowserRouter, Link, Route, Routes } from "react-router";
import { Notice } from "./Notice";
import { SessionGuard } from "./SessionGuard";

// The viewer brings the imaging core with it, so it is loaded when it is first wanted.
const ListPage = lazy(() => import("./list/ListPage"));
const ViewerPage = lazy(() => import("./viewer/ViewerPage"));

const queryClient = new QueryClient({
	defaultOptions: { queries: { retry: 1, staleTime: 30_000, refetchOnWindowFocus: false } },
});

function NotFound() {
	return (
		<Notice title="There is no page at this address.">
			<Link to="/">Go to the study list</Link>
		</Notice>
	);
}

export function App() {
	return (
		<QueryClientProvider client={queryClient}>
			<TooltipProvider delayDuration={400} skipDelayDuration={200}>
				<SessionGuard>
					<BrowserRouter>
						<Suspense fallback={null}>
							<Routes>
								<Route path="/" element={<ListPage />} />
								<Route path="/viewer/:studyInstanceUID" element={<ViewerPage />} />
								<Route path="*" element={<NotFound />} />
							</Routes>
						</Suspense>
					</BrowserRouter>
				</SessionGuard>
			</TooltipProvider>
		</QueryClientProvider>
	);
}
