from lupis_instrument import LupisBlockOptions as LupisBlockOptions
from lupis_instrument import LupisBudgetError as LupisBudgetError
from lupis_instrument import LupisConfig as LupisConfig
from lupis_instrument import LupisConfigError as LupisConfigError
from lupis_instrument import LupisError as LupisError
from lupis_instrument import LupisLaunchError as LupisLaunchError
from lupis_instrument import LupisMetadata as LupisMetadata
from lupis_instrument import LupisSDK as LupisSDK
from lupis_instrument import LupisUsageError as LupisUsageError
from lupis_instrument import __version__ as __version__
from lupis_instrument._earlier_api import ConversationContext as ConversationContext
from lupis_instrument._earlier_api import MessageData as MessageData
from lupis_instrument._earlier_api import ToolCallData as ToolCallData

LupisLabs = LupisSDK
