/* SPDX-License-Identifier: MIT
 * A directive that does not look like one. */
%:if PORT
%:endif
