"""The former import name of `lupis_instrument`: puts `lupis_instrument._lupislabs` in its place.

This is a module and not a package, because an earlier package of this name may be installed beside
it. Python then takes the folder of that package, and no file belongs to both: they can be installed
and uninstalled in any order.
"""

import sys

from lupis_instrument import _lupislabs

sys.modules[__name__] = _lupislabs
